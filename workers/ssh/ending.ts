/**
 * The ways in which an attempt ends early: its signal, its time limits, and what its connection runs into.
 * The first of them decides, and whatever is waited for through {@link Ending.race} is given up.
 */
export class Ending {
  readonly #failed = Promise.withResolvers<never>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #signal: AbortSignal
  readonly #onAbort = () => this.fail(this.#signal.reason)

  constructor(signal: AbortSignal) {
    this.#signal = signal
    // It may fail when nothing is waited for.
    this.#failed.promise.catch(() => {})
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Ends it. The first reason stands. */
  fail(reason: unknown): void {
    this.#failed.reject(reason)
  }

  /** Ends it after some time, unless what is returned is called before. */
  limit(ms: number, reason: () => Error): () => void {
    const timer = this.after(ms, () => this.fail(reason()))
    return () => clearTimeout(timer)
  }

  /** Calls back after some time, unless it is closed before. */
  after(ms: number, callback: () => void): NodeJS.Timeout {
    const timer = setTimeout(callback, ms)
    this.#timers.add(timer)
    return timer
  }

  /** Calls back again and again until it is closed. */
  every(ms: number, callback: () => void): void {
    this.#timers.add(setInterval(callback, ms))
  }

  /** Settles as the work does, or rejects with the reason of the end where that comes first. */
  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([this.#failed.promise, work])
  }

  /** Lets go of the signal and of every timer. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    for (const timer of this.#timers) clearTimeout(timer)
  }
}
