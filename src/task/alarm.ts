/** The longest delay that `setTimeout` keeps; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1

/** One pending call at a time of the wall clock, however far away. */
export class Alarm {
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined
  #at = Number.POSITIVE_INFINITY

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Rings at `at`, epoch milliseconds, instead of when it would have; Infinity: never. */
  set(at: number): void {
    if (at === this.#at) return
    this.clear()
    if (at === Number.POSITIVE_INFINITY) return
    this.#at = at
    this.#arm()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#at = Number.POSITIVE_INFINITY
  }

  #arm(): void {
    const delay = Math.min(Math.max(this.#at - Date.now(), 0), LONGEST)
    this.#timer = setTimeout(() => {
      // Timers run on a clock of their own and can be a millisecond early by the wall clock.
      if (Date.now() < this.#at) return this.#arm()
      this.clear()
      this.#ring()
    }, delay)
  }
}
