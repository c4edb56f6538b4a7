import { randomBytes } from 'node:crypto'
import { STATUSES, type Status } from '../task/lifecycle.ts'
import type { LogEntry, Progress, Task } from '../task/task.ts'

/** Events kept for those who come back after a gap. */
const DEFAULT_CAPACITY = 10_000
/** The type of an event that is no status. */
const PROGRESS = STATUSES.length

/** Something that happened to a task, as it was when it did. `task` may have changed since. */
export type TaskEvent =
  | { id: string; type: 'status'; task: Task; status: Status; attempt: number; at: number }
  | { id: string; type: 'progress'; task: Task; progress: Progress; at: number }
  | { id: string; type: 'log'; task: Task; entry: LogEntry; at: number }

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
 * The latest events, numbered, and who reads along. Log lines are passed on and not kept: each task keeps
 * its own.
 *
 * Events are kept in columns, and made into objects only for those who read: every task causes three, and
 * most are never read.
 */
export class EventLog {
  readonly #capacity: number
  /** Sets this process's ids apart from those of one before it. */
  readonly #epoch = randomBytes(6).toString('hex')
  readonly #tasks: Task[] = []
  /** The status by its place in {@link STATUSES}, or {@link PROGRESS}. */
  readonly #types: Uint8Array
  readonly #progress = new Map<number, Progress>()
  readonly #attempts: Uint32Array
  readonly #times: Float64Array
  readonly #readers = new Set<EventReader>()
  #next = 0

  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = capacity
    this.#types = new Uint8Array(capacity)
    this.#attempts = new Uint32Array(capacity)
    this.#times = new Float64Array(capacity)
  }

  onStatus(task: Task, at: number): void {
    this.#keep(task, STATUSES.indexOf(task.status), at)
  }

  onProgress(task: Task, progress: Progress, at: number): void {
    this.#keep(task, PROGRESS, at, progress)
  }

  onLog(task: Task, entry: LogEntry, at: number): void {
    if (this.#readers.size > 0)
      this.#tell({ id: this.#id(this.#next), type: 'log', task, entry, at })
  }

  /** The id of the latest event. */
  get lastId(): string {
    return this.#id(this.#next)
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
    for (let position = from ?? this.#next; position < this.#next; position++) {
      const event = this.#event(position)
      if (event !== undefined) missed.push(event)
    }
    return {
      missed,
      isGap: from === undefined,
      lastId: this.lastId,
      close: () => this.#readers.delete(reader),
    }
  }

  /** Tells every reader that no more will come. */
  close(): void {
    const readers = [...this.#readers]
    this.#readers.clear()
    for (const reader of readers) reader.onEnd()
  }

  #keep(task: Task, type: number, at: number, progress?: Progress): void {
    const position = this.#next++
    const slot = position % this.#capacity
    if (this.#types[slot] === PROGRESS) this.#progress.delete(slot)
    if (progress !== undefined) this.#progress.set(slot, progress)
    this.#tasks[slot] = task
    this.#types[slot] = type
    this.#attempts[slot] = task.attempt
    this.#times[slot] = at
    if (this.#readers.size === 0) return
    const event = this.#event(position)
    if (event !== undefined) this.#tell(event)
  }

  #tell(event: TaskEvent): void {
    for (const reader of this.#readers) reader.onEvent(event)
  }

  #event(position: number): TaskEvent | undefined {
    const slot = position % this.#capacity
    const task = this.#tasks[slot]
    if (task === undefined) return undefined
    const id = this.#id(position + 1)
    const at = this.#times[slot] ?? 0
    const progress = this.#progress.get(slot)
    if (progress !== undefined) return { id, type: 'progress', task, progress, at }
    const status = STATUSES[this.#types[slot] ?? 0] ?? 'queued'
    return { id, type: 'status', task, status, attempt: this.#attempts[slot] ?? 0, at }
  }

  /** The id of the event before a position: what a reader that has all before it comes back with. */
  #id(position: number): string {
    return `${this.#epoch}-${position}`
  }

  /** The position after the event of that id, or undefined where what follows it is not all here. */
  #position(id: string): number | undefined {
    const match = /^([0-9a-f]{12})-(\d{1,15})$/.exec(id)
    const position = Number(match?.[2])
    if (match?.[1] !== this.#epoch || position > this.#next) return undefined
    return position >= this.#next - this.#capacity ? position : undefined
  }
}
