import { TaskError } from '../../src/task/worker.ts'

/**
 * What ends a call before its time: the abort of its task, or its own timeout. One step of the call at a time
 * listens, and lets go at once.
 */
export class Stop {
  /** Why it ended, once it has. */
  reason: Error | undefined
  readonly #signal: AbortSignal
  readonly #timeoutMs: number
  readonly #call: { readonly attempted: string }
  readonly #timer: NodeJS.Timeout
  #listener: StopListener | undefined

  constructor(signal: AbortSignal, timeoutMs: number, call: { readonly attempted: string }) {
    this.#call = call
    this.#signal = signal
    this.#timeoutMs = timeoutMs
    signal.addEventListener('abort', this)
    this.#timer = setTimeout(endInTime, timeoutMs, this)
    if (signal.aborted) this.handleEvent()
  }

  /** Says who lets go: in place of the step before, or nobody. */
  listen(listener: StopListener | undefined): void {
    this.#listener = listener
  }

  /** @throws the reason, once it has ended */
  check(): void {
    if (this.reason !== undefined) throw this.reason
  }

  /** Lets go of the timer and of the signal. */
  release(): void {
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this)
    this.#listener = undefined
  }

  /** The task was told to end. */
  handleEvent(): void {
    this.#end(this.#signal.reason)
  }

  /** The timeout has struck. */
  timeUp(): void {
    const message = `${this.#call.attempted} was not over within its timeout of ${this.#timeoutMs} ms.`
    this.#end(new TaskError('timeout', message))
  }

  #end(reason: Error): void {
    if (this.reason !== undefined) return
    this.reason = reason
    this.#listener?.onStop(reason)
  }
}

/** A step of a call that can be ended. */
export interface StopListener {
  /** Lets go of whatever is held, at once. */
  onStop(reason: Error): void
}

function endInTime(stop: Stop): void {
  stop.timeUp()
}
