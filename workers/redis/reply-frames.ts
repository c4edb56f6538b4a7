import { TaskError } from '../../src/task/worker.ts'

/** A reply is held in memory, whole. */
export const MAX_REPLY_BYTES = 16 * 1_048_576
/** Less than what the JSON of a task may have. */
const MAX_DEPTH = 100
/** Type, sign, digits of 64 bits and the line's end. */
const MAX_HEAD_BYTES = 24
/** The shortest element of a list: `:0\r\n`. */
const MIN_ELEMENT_BYTES = 4
const CR = 13
const LF = 10

const HEAD = /^(?:[$*](?:-1|\d{1,10})|:[+-]?\d{1,20}|[+-])/

/**
 * Cuts what a server sends into whole replies of RESP2, and lets nothing else through. The client's parser
 * trusts its server: it makes a list as long as it is told before there is an element, and throws where no
 * one can catch it when a reply comes that nobody asked for.
 */
export class ReplyFrames {
  readonly #chunks: Buffer[] = []
  #isAwaited = false
  #bytes = 0
  /** The beginning of the line that tells of a value, as far as it has come. */
  #head = ''
  #isLineAtCr = false
  /** Bytes of a string, and its line's end, that are still to come. */
  #toSkip = 0
  /** Elements still to come, of each list that is open. */
  readonly #open: number[] = []
  #promisedBytes = 0

  /** One reply may come. */
  expect(): void {
    this.#isAwaited = true
  }

  /**
   * @returns the reply that this chunk completes
   * @throws TaskError `reply-too-large`, `invalid-reply`
   */
  take(chunk: Buffer): Buffer | undefined {
    this.#bytes += chunk.length
    this.#checkSize(this.#bytes)
    this.#chunks.push(chunk)
    for (let at = 0; at < chunk.length; ) {
      if (!this.#isAwaited) throw invalid('it sent more than it was asked for')
      at = this.#toSkip > 0 ? this.#skip(chunk, at) : this.#readLine(chunk, at)
    }
    if (this.#isAwaited) return undefined
    const reply = Buffer.concat(this.#chunks)
    this.#chunks.length = 0
    this.#bytes = 0
    return reply
  }

  #skip(chunk: Buffer, at: number): number {
    const skipped = Math.min(this.#toSkip, chunk.length - at)
    this.#toSkip -= skipped
    if (this.#toSkip === 0) this.#endValue()
    return at + skipped
  }

  #readLine(chunk: Buffer, at: number): number {
    if (this.#isLineAtCr) {
      if (chunk[at] !== LF) throw invalid('a line does not end as it should')
      this.#isLineAtCr = false
      this.#endLine()
      return at + 1
    }
    const cr = chunk.indexOf(CR, at)
    const end = cr === -1 ? chunk.length : cr
    const room = MAX_HEAD_BYTES - this.#head.length
    this.#head += chunk.toString('latin1', at, Math.min(end, at + room))
    if (!/^[-+:$*]/.test(this.#head)) throw invalid('that is not RESP2')
    this.#isLineAtCr = cr !== -1
    return this.#isLineAtCr ? end + 1 : end
  }

  #endLine(): void {
    const head = this.#head
    this.#head = ''
    const [known] = HEAD.exec(head) ?? []
    const isText = head[0] === '+' || head[0] === '-'
    if (known === undefined || (!isText && known !== head)) throw invalid('that is not RESP2')
    const length = Number(head.slice(1))
    if (head[0] === '$' && length >= 0) this.#openString(length)
    else if (head[0] === '*' && length > 0) this.#openList(length)
    else this.#endValue()
  }

  #openString(length: number): void {
    this.#checkSize(length)
    this.#toSkip = length + 2
  }

  #openList(length: number): void {
    // Before a list of that length is made, and for all lists together.
    this.#promisedBytes += length * MIN_ELEMENT_BYTES
    this.#checkSize(this.#promisedBytes)
    this.#open.push(length)
    if (this.#open.length > MAX_DEPTH) throw invalid('its lists are nested too deep')
  }

  #endValue(): void {
    for (;;) {
      const left = this.#open.pop()
      if (left === undefined) break
      if (left > 1) {
        this.#open.push(left - 1)
        return
      }
    }
    this.#isAwaited = false
    this.#promisedBytes = 0
  }

  #checkSize(bytes: number): void {
    if (bytes <= MAX_REPLY_BYTES) return
    throw new TaskError(
      'reply-too-large',
      `The reply is larger than ${MAX_REPLY_BYTES / 1_048_576} MiB. The command was performed; ask for less at a time (SCAN, LRANGE, GETRANGE).`,
      { retryable: false },
    )
  }
}

function invalid(what: string): TaskError {
  return new TaskError(
    'invalid-reply',
    `What the server sent is no reply of Redis: ${what}. Is there a Redis server at this port, and does it speak TLS or not as \`tls\` says?`,
    { retryable: false },
  )
}
