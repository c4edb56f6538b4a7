import { Readable } from 'node:stream'

/** A reader that is this far behind what happens now, in characters, is let go. */
const MAX_BEHIND = 1_048_576
/** Proxies close what is silent for long; a comment now and then is not. */
const KEEP_ALIVE_MS = 15_000

export interface PushStreamOptions {
  /** What happened before: rendered and sent as fast as the reader takes it, before anything new. */
  backlog?: Iterable<string>
  /** What to send when nothing has been for a while. */
  keepAlive?: string
  /** Called once, when the stream is done or its reader has gone. */
  onClose(): void
}

/**
 * Text that is sent as it comes, after a backlog that is sent as the reader takes it. What comes meanwhile
 * waits; a reader for whom more waits than {@link MAX_BEHIND} is let go, so that it costs no memory.
 */
export class PushStream extends Readable {
  readonly #onClose: () => void
  readonly #keepAlive: NodeJS.Timeout | undefined
  readonly #backlog: Iterator<string>
  #waiting: string[] = []
  #waitingLength = 0
  #isWanted = false
  #isEnded = false

  constructor({ backlog = [], keepAlive, onClose }: PushStreamOptions) {
    super({ encoding: 'utf8' })
    this.#onClose = onClose
    this.#backlog = backlog[Symbol.iterator]()
    if (keepAlive !== undefined)
      this.#keepAlive = setInterval(() => this.write(keepAlive), KEEP_ALIVE_MS)
  }

  write(text: string): void {
    if (this.destroyed || this.#isEnded) return
    this.#waiting.push(text)
    this.#waitingLength += text.length
    if (this.#waitingLength > MAX_BEHIND) this.destroy()
    else if (this.#isWanted) this._read()
  }

  /** Ends the stream once all that was written is sent. */
  end(): void {
    if (this.#isEnded || this.destroyed) return
    this.#isEnded = true
    if (this.#isWanted) this._read()
  }

  override _read(): void {
    this.#isWanted = false
    for (let text = this.#next(); text !== undefined; text = this.#next()) {
      if (!this.push(text)) return
    }
    if (this.#isEnded) this.push(null)
    else this.#isWanted = true
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#keepAlive)
    this.#waiting = []
    this.#onClose()
    callback(error)
  }

  #next(): string | undefined {
    const { done, value } = this.#backlog.next()
    if (done !== true) return value
    if (this.#waiting.length === 0) return undefined
    const text = this.#waiting.join('')
    this.#waiting = []
    this.#waitingLength = 0
    return text
  }
}
