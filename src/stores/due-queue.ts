import TinyQueue from 'tinyqueue'
import { Alarm } from '../task/alarm.ts'

interface Due<T> {
  at: number
  item: T
}

/** Entries swept at the least, so that sweeping costs no more than adding did. */
const SWEEP_AT = 1_024

/** Items that something must happen to at a time, on one timer. */
export class DueQueue<T> {
  readonly #alarm = new Alarm(() => this.#ring())
  readonly #onDue: (item: T, at: number) => void
  readonly #isPending: (item: T) => boolean
  #heap = new TinyQueue<Due<T>>([], byTime)
  #sweepAt = SWEEP_AT

  /**
   * @param onDue called at an item's time; must not throw
   * @param isPending false once nothing need happen to an item any more: it is swept
   */
  constructor(onDue: (item: T, at: number) => void, isPending: (item: T) => boolean) {
    this.#onDue = onDue
    this.#isPending = isPending
  }

  /** @param at epoch milliseconds */
  add(at: number, item: T): void {
    this.#heap.push({ at, item })
    if (this.#heap.length >= this.#sweepAt) this.#sweep()
    this.#rearm()
  }

  close(): void {
    this.#alarm.clear()
    this.#heap = new TinyQueue<Due<T>>([], byTime)
  }

  #ring(): void {
    for (let next = this.#heap.peek(); next !== undefined; next = this.#heap.peek()) {
      if (next.at > Date.now()) break
      this.#heap.pop()
      this.#onDue(next.item, next.at)
    }
    this.#rearm()
  }

  #rearm(): void {
    this.#alarm.set(this.#heap.peek()?.at ?? Number.POSITIVE_INFINITY)
  }

  #sweep(): void {
    this.#heap = new TinyQueue(
      this.#heap.data.filter((due) => this.#isPending(due.item)),
      byTime,
    )
    this.#sweepAt = Math.max(SWEEP_AT, this.#heap.length * 2)
  }
}

function byTime(a: Due<unknown>, b: Due<unknown>): number {
  return a.at - b.at
}
