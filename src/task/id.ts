import { randomFillSync } from 'node:crypto'
import { urlAlphabet } from 'nanoid'

/** As in nanoid: 126 bits, so that ids never meet. */
const LENGTH = 21
const BATCH = 256

const codes = Uint8Array.from(urlAlphabet, (letter) => letter.charCodeAt(0))
const letters = Buffer.alloc(LENGTH)
const pool = Buffer.alloc(LENGTH * BATCH)
let used = pool.length

/**
 * A new id: nanoid's own alphabet, length and randomness.
 *
 * `nanoid()` adds up its result letter by letter, which leaves a chain of twenty strings to be flattened
 * when the id becomes the key of a map. Every task pays for that: made in one piece, an id costs half as much.
 */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  for (let i = 0; i < LENGTH; i++) letters[i] = codes[(pool[used + i] ?? 0) & 63] ?? 0
  used += LENGTH
  return letters.toString('latin1')
}
