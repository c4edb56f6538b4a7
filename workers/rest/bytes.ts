import { TaskError } from '../../src/task/worker.ts'

/** The largest body that is taken in, as it came and decompressed. */
export const MAX_BYTES = 10_485_760
const FIRST_BYTES = 65_536
const NONE = Buffer.alloc(0)

/** Bytes that come in pieces, up to {@link MAX_BYTES}. A single piece is not copied. */
export class Bytes {
  #held: Buffer = NONE
  #length = 0

  /** @throws {@link TaskError} `response-too-large` */
  append(piece: Buffer): void {
    const length = this.#length + piece.length
    if (length > MAX_BYTES) throw tooLarge()
    if (this.#length === 0) {
      this.#held = piece
    } else {
      // Into one buffer: a list of many small pieces would take many times what they hold.
      if (length > this.#held.length) this.#grow(length)
      piece.copy(this.#held, this.#length)
    }
    this.#length = length
  }

  all(): Buffer {
    return this.#length === this.#held.length ? this.#held : this.#held.subarray(0, this.#length)
  }

  #grow(needed: number): void {
    const room = Math.min(Math.max(needed, 2 * this.#held.length, FIRST_BYTES), MAX_BYTES)
    const larger = Buffer.allocUnsafeSlow(room)
    this.#held.copy(larger, 0, 0, this.#length)
    this.#held = larger
  }
}

export function tooLarge(): TaskError {
  return new TaskError(
    'response-too-large',
    `The body of the answer is larger than ${MAX_BYTES} bytes: ask for less of it at a time.`,
    { retryable: false },
  )
}
