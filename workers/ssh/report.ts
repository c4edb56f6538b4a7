/** How much of its beginning and of its end a report keeps, in characters. */
export const REPORT_BOUNDS = { head: 1_048_576, tail: 3_145_728 } as const

/** What a script wrote: all of it, or its beginning and its end with a note between them of what is left out. */
export class Report {
  readonly #bounds: { readonly head: number; readonly tail: number }
  #head = ''
  #tail: string[] = []
  #tailLength = 0
  #leftOut = 0

  constructor(bounds: { readonly head: number; readonly tail: number } = REPORT_BOUNDS) {
    this.#bounds = bounds
  }

  add(text: string): void {
    const room = this.#tailLength > 0 ? 0 : this.#bounds.head - this.#head.length
    const cut = room >= text.length ? text.length : wholeCharacters(text, Math.max(room, 0))
    this.#head += text.slice(0, cut)
    if (cut === text.length) return
    this.#tail.push(text.slice(cut))
    this.#tailLength += text.length - cut
    // Not before there is as much again, so that what is dropped is dropped rarely.
    if (this.#tailLength >= 2 * this.#bounds.tail) this.#trim()
  }

  toString(): string {
    this.#trim()
    const tail = this.#tail.join('')
    if (this.#leftOut === 0) return this.#head + tail
    return `${this.#head}\n[… ${this.#leftOut} characters are left out here …]\n${tail}`
  }

  #trim(): void {
    if (this.#tailLength <= this.#bounds.tail) return
    const tail = this.#tail.join('')
    const from = wholeCharacters(tail, tail.length - this.#bounds.tail)
    this.#tail = [tail.slice(from)]
    this.#tailLength = tail.length - from
    this.#leftOut += from
  }
}

/** The same place in a text, or the one before it where it would part a character from its other half. */
function wholeCharacters(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return at > 0 && code >= 0xdc00 && code <= 0xdfff ? at - 1 : at
}
