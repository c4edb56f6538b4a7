import { randomBytes } from 'node:crypto'
import type { Change } from '../task/store.ts'

/** Changes kept for those who come back after a gap. */
const DEFAULT_CAPACITY = 10_000

/** A change and the id under which a reader can ask for all that came after it. */
export interface TaskEvent {
  readonly id: string
  readonly change: Change
}

export interface EventReader {
  /** Called for each event, in order. Must not throw and must not take long. */
  onEvent(event: TaskEvent): void
  /** Called once when no more will come: the engine stops. */
  onEnd(): void
}

export interface EventSubscription {
  /** What came after the id asked for; empty where none was. */
  readonly missed: readonly TaskEvent[]
  /** True where the id is of another process, or so old that something between is lost. */
  readonly isGap: boolean
  /** The id to come back with when nothing has come yet. */
  readonly lastId: string
  close(): void
}

/**
 * The latest changes, numbered, and who reads along. Log lines are passed on and not kept: each task keeps
 * its own.
 */
export class EventLog {
  readonly #capacity: number
  /** Sets this process's ids apart from those of one before it. */
  readonly #epoch = randomBytes(6).toString('base64url').replaceAll('-', '_')
  readonly #ring: Change[] = []
  readonly #readers = new Set<EventReader>()
  #next = 0

  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = capacity
  }

  append(change: Change): void {
    if (change.type !== 'log') {
      this.#ring[this.#next % this.#capacity] = change
      this.#next++
    }
    if (this.#readers.size === 0) return
    const event = { id: this.#id(this.#next - 1), change }
    for (const reader of this.#readers) reader.onEvent(event)
  }

  /** How many read along. */
  get readers(): number {
    return this.#readers.size
  }

  /** @param after the id of the last event the reader has; everything since is in `missed` */
  subscribe(reader: EventReader, after?: string): EventSubscription {
    this.#readers.add(reader)
    const from = after === undefined ? this.#next : this.#position(after)
    const missed: TaskEvent[] = []
    for (let i = from ?? this.#next; i < this.#next; i++) {
      const change = this.#ring[i % this.#capacity]
      if (change !== undefined) missed.push({ id: this.#id(i), change })
    }
    return {
      missed,
      isGap: from === undefined,
      lastId: this.#id(this.#next - 1),
      close: () => this.#readers.delete(reader),
    }
  }

  /** Tells every reader that no more will come. */
  close(): void {
    const readers = [...this.#readers]
    this.#readers.clear()
    for (const reader of readers) reader.onEnd()
  }

  #id(position: number): string {
    return `${this.#epoch}-${position + 1}`
  }

  /** The position after the event of that id, or undefined where what follows it is not all here. */
  #position(id: string): number | undefined {
    const [epoch, count] = id.split('-')
    const position = Number(count)
    const isKnown =
      epoch === this.#epoch && Number.isInteger(position) && position >= 0 && position <= this.#next
    return isKnown && position >= this.#next - this.#capacity ? position : undefined
  }
}
