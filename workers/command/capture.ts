/**
 * What a program printed, within a bound: its beginning and its end, half of the bound each. It takes the
 * memory of what was printed, and never more than the bound.
 */
export class Capture {
  readonly #limit: number
  /** Where the beginning ends. What follows goes round in the room behind it. */
  readonly #turn: number
  #bytes: Buffer = Buffer.alloc(0)
  #total = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#turn = Math.ceil(limit / 2)
  }

  add(chunk: Buffer): void {
    if (this.#total === 0 && chunk.length <= this.#limit) this.#bytes = chunk
    else this.#copy(chunk)
    this.#total += chunk.length
  }

  /** Bytes that were not kept. */
  get dropped(): number {
    return Math.max(0, this.#total - this.#limit)
  }

  /** As UTF-8, invalid bytes replaced; what was left out is said where it was. */
  text(): string {
    if (this.dropped === 0) return this.#bytes.toString('utf8', 0, this.#total)
    const head = this.#bytes.subarray(0, this.#turn)
    const seam = this.#placeOf(this.#total)
    const tail = Buffer.concat([
      this.#bytes.subarray(seam, this.#limit),
      this.#bytes.subarray(this.#turn, seam),
    ])
    return `${withoutCutEnd(head)}\n[… ${this.dropped} bytes left out …]\n${withoutCutStart(tail)}`
  }

  #copy(chunk: Buffer): void {
    this.#grow(this.#total + chunk.length)
    let from = 0
    while (from < chunk.length) {
      const place = this.#placeOf(this.#total + from)
      const end = this.#total + from < this.#turn ? this.#turn : this.#limit
      // A bound of one byte has no room behind its turn.
      if (place >= end) return
      from += chunk.copy(this.#bytes, place, from, Math.min(chunk.length, from + end - place))
    }
  }

  #placeOf(index: number): number {
    const room = this.#limit - this.#turn
    if (index < this.#turn || room === 0) return index
    return this.#turn + ((index - this.#turn) % room)
  }

  #grow(needed: number): void {
    if (needed <= this.#bytes.length || this.#bytes.length === this.#limit) return
    const size = Math.min(this.#limit, Math.max(needed, this.#bytes.length * 2, 1_024))
    const grown = Buffer.allocUnsafe(size)
    this.#bytes.copy(grown)
    this.#bytes = grown
  }
}

/** A character cut at the end of `bytes` is left away. */
function withoutCutEnd(bytes: Buffer): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true })
}

/** The rest of a character that was cut is left away. */
function withoutCutStart(bytes: Buffer): string {
  let start = 0
  while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++
  return bytes.toString('utf8', start)
}
