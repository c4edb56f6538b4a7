const NEWLINE = 0x0a
/** Bytes of a line that are kept; a task's log cuts its lines at as many characters. */
const MAX_LINE = 8_192
/** Lines logged in a second; a program that prints faster would keep the server busy with its log. */
const MAX_RATE = 1_000
const EMPTY = Buffer.alloc(0)

/** Turns what a program prints into lines of a log, as they come. */
export class LineLog {
  readonly #write: (line: string) => void
  /** The beginning of a line that has not ended. */
  #begun = EMPTY
  #isCut = false
  #windowEnd = 0
  #left = MAX_RATE
  #skipped = 0

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  add(chunk: Buffer): void {
    this.#openWindow()
    let from = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from)
      if (end === -1) break
      this.#line(chunk.subarray(from, end))
      from = end + 1
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from))
  }

  /** The last line may lack its end. */
  end(): void {
    if (this.#begun.length > 0) this.#line(EMPTY)
    this.#tellSkipped()
  }

  #line(rest: Buffer): void {
    if (this.#left === 0) {
      this.#skipped++
    } else {
      this.#left--
      if (this.#begun.length > 0 || rest.length > MAX_LINE) {
        this.#keep(rest)
        this.#write(shown(this.#begun, this.#isCut))
      } else {
        this.#write(shown(rest, false))
      }
    }
    this.#begun = EMPTY
    this.#isCut = false
  }

  #keep(part: Buffer): void {
    const room = MAX_LINE - this.#begun.length
    if (part.length > room) this.#isCut = true
    if (room > 0) this.#begun = Buffer.concat([this.#begun, part.subarray(0, room)])
  }

  #openWindow(): void {
    const now = performance.now()
    if (now < this.#windowEnd) return
    this.#tellSkipped()
    this.#windowEnd = now + 1_000
    this.#left = MAX_RATE
  }

  #tellSkipped(): void {
    if (this.#skipped === 0) return
    this.#write(`[… ${this.#skipped} lines left out: more than ${MAX_RATE} a second …]`)
    this.#skipped = 0
  }
}

/** As UTF-8, invalid bytes replaced, without the carriage return of a line from elsewhere. */
function shown(bytes: Buffer, isCut: boolean): string {
  if (isCut) return `${new TextDecoder().decode(bytes, { stream: true })}…`
  const text = bytes.toString('utf8')
  return text.endsWith('\r') ? text.slice(0, -1) : text
}
