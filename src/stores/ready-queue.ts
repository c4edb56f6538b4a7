import { PRIORITIES } from '../task/task.ts'

/** What is moved to the front of a list at once, so that taking from it stays cheap. */
const TRIM_AT = 1_024

class Fifo<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head >= TRIM_AT && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  keep(wanted: (item: T) => boolean): void {
    this.#items = this.#items.slice(this.#head).filter((item) => item !== undefined && wanted(item))
    this.#head = 0
  }
}

/**
 * The tasks of one worker that may run now: highest priority first, then first come, first served.
 *
 * A task that leaves the queue otherwise than by `shift` (canceled, expired) is only marked stale, and
 * passed over later; the stale are swept once they outnumber the rest.
 */
export class ReadyQueue<T> {
  readonly #levels: Fifo<T>[] = []
  readonly #isReady: (item: T) => boolean
  #size = 0
  #stale = 0

  constructor(isReady: (item: T) => boolean) {
    this.#isReady = isReady
    for (let level = PRIORITIES.lowest; level <= PRIORITIES.highest; level++) {
      this.#levels.push(new Fifo())
    }
  }

  /** How many may run now. */
  get size(): number {
    return this.#size
  }

  push(item: T, priority: number): void {
    this.#levels[priority]?.push(item)
    this.#size++
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined
    for (let level = PRIORITIES.highest; level >= PRIORITIES.lowest; level--) {
      const item = this.#shiftLevel(this.#levels[level])
      if (item !== undefined) return item
    }
    return undefined
  }

  /** Says that an item in the queue is not ready any more. */
  discard(): void {
    this.#size--
    this.#stale++
    if (this.#stale < TRIM_AT || this.#stale <= this.#size) return
    for (const level of this.#levels) level.keep(this.#isReady)
    this.#stale = 0
  }

  #shiftLevel(level: Fifo<T> | undefined): T | undefined {
    if (level === undefined || level.length === 0) return undefined
    for (let item = level.shift(); item !== undefined; item = level.shift()) {
      if (this.#isReady(item)) {
        this.#size--
        return item
      }
      this.#stale--
    }
    return undefined
  }
}
