import { randomBytes } from 'node:crypto'
import { STATUSES, type Status } from '../task/lifecycle.ts'
import type { Failure, LogEntry, Progress, Task, TaskIdentity } from '../task/task.ts'
import { toFailure } from './failure.ts'
import type { Logger } from './logger.ts'

/** Events kept for those who come back after a gap. */
const DEFAULT_CAPACITY = 10_000
/** The type of an event that is no status. */
const PROGRESS = STATUSES.length

/** Something that happened to a task, as it was when it did. */
export type TaskEvent = StatusEvent | ProgressEvent | LogEvent

interface StatusEvent {
  id: string
  type: 'status'
  task: TaskIdentity
  status: Status
  attempt: number
  error?: Failure | undefined
  notice?: string | undefined
  at: number
}

interface ProgressEvent {
  id: string
  type: 'progress'
  task: TaskIdentity
  progress: Progress
  at: number
}

interface LogEvent {
  id: string
  type: 'log'
  task: TaskIdentity
  entry: LogEntry
  at: number
}

/** An event that is kept: of log lines, each task keeps its own. */
export type KeptEvent = StatusEvent | ProgressEvent

/** What stands in place of events that are no longer kept. */
export const LOST = Symbol('lost')

export interface EventReader {
  /** Called for each event, in order. Must not take long; one that throws is closed. */
  onEvent(event: TaskEvent): void
  /** Called once when no more will come: the engine stops. */
  onEnd(): void
}

export interface SubscribeOptions {
  /** The id of the last event that the reader has: what came since is missed. */
  after?: string | undefined
  /** Only the events of this task. */
  task?: string | undefined
}

export interface EventSubscription {
  /**
   * What came after the id asked for, until now; empty where none was. Each event is made when it is asked
   * for: where newer ones have taken the place of some by then, it ends with {@link LOST}.
   */
  readonly missed: Generator<KeptEvent | typeof LOST, void>
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
 * most are never read. What they hold of a task is what an event shows, so that no input and no output
 * outlives its task here.
 */
export class EventLog {
  readonly #capacity: number
  readonly #log: Logger
  /** Sets this process's ids apart from those of one before it. */
  readonly #epoch = randomBytes(6).toString('hex')
  readonly #ids: string[] = []
  readonly #workers: string[] = []
  readonly #tags: (readonly string[] | undefined)[] = []
  readonly #parents: (string | undefined)[] = []
  readonly #restartOfs: (string | undefined)[] = []
  readonly #priorities: Uint8Array
  readonly #createdAts: Float64Array
  /** The status by its place in {@link STATUSES}, or {@link PROGRESS}. */
  readonly #types: Uint8Array
  readonly #attempts: Uint32Array
  readonly #times: Float64Array
  /** What few events have, by their slot. */
  readonly #progress = new Map<number, Progress>()
  readonly #errors = new Map<number, Failure>()
  readonly #notices = new Map<number, string>()
  readonly #readers = new Set<EventReader>()
  readonly #readersOf = new Map<string, Set<EventReader>>()
  #readerCount = 0
  #next = 0

  constructor(log: Logger, capacity: number = DEFAULT_CAPACITY) {
    this.#log = log
    this.#capacity = capacity
    this.#priorities = new Uint8Array(capacity)
    this.#createdAts = new Float64Array(capacity)
    this.#types = new Uint8Array(capacity)
    this.#attempts = new Uint32Array(capacity)
    this.#times = new Float64Array(capacity)
  }

  onStatus(task: Task, at: number): void {
    const position = this.#keep(task, STATUSES.indexOf(task.status), at)
    const slot = position % this.#capacity
    if (task.error !== undefined) this.#errors.set(slot, task.error)
    if (task.notice !== undefined) this.#notices.set(slot, task.notice)
    this.#tellKept(task.id, position)
  }

  onProgress(task: Task, progress: Progress, at: number): void {
    const position = this.#keep(task, PROGRESS, at)
    this.#progress.set(position % this.#capacity, progress)
    this.#tellKept(task.id, position)
  }

  onLog(task: Task, entry: LogEntry, at: number): void {
    if (this.#isRead(task.id)) {
      this.#tell(task.id, { id: this.#id(this.#next), type: 'log', task, entry, at })
    }
  }

  /** The id of the latest event. */
  get lastId(): string {
    return this.#id(this.#next)
  }

  /** How many read along. */
  get readers(): number {
    return this.#readerCount
  }

  subscribe(reader: EventReader, { after, task }: SubscribeOptions = {}): EventSubscription {
    this.#add(reader, task)
    const from = after === undefined ? this.#next : this.#position(after)
    return {
      missed: this.#walk(from ?? this.#next, this.#next, task),
      isGap: from === undefined,
      lastId: this.lastId,
      close: () => this.#remove(reader, task),
    }
  }

  /** Tells every reader that no more will come. */
  close(): void {
    const readers = [...this.#readers, ...[...this.#readersOf.values()].flatMap((of) => [...of])]
    this.#readers.clear()
    this.#readersOf.clear()
    this.#readerCount = 0
    for (const reader of readers) reader.onEnd()
  }

  #add(reader: EventReader, task: string | undefined): void {
    this.#readerCount++
    if (task === undefined) return void this.#readers.add(reader)
    const readers = this.#readersOf.get(task)
    if (readers === undefined) this.#readersOf.set(task, new Set([reader]))
    else readers.add(reader)
  }

  #remove(reader: EventReader, task: string | undefined): void {
    const readers = task === undefined ? this.#readers : this.#readersOf.get(task)
    if (readers?.delete(reader) !== true) return
    this.#readerCount--
    if (task !== undefined && readers.size === 0) this.#readersOf.delete(task)
  }

  #keep(task: TaskIdentity & { attempt: number }, type: number, at: number): number {
    const position = this.#next++
    const slot = position % this.#capacity
    if (this.#progress.size > 0) this.#progress.delete(slot)
    if (this.#errors.size > 0) this.#errors.delete(slot)
    if (this.#notices.size > 0) this.#notices.delete(slot)
    this.#ids[slot] = task.id
    this.#workers[slot] = task.worker
    this.#tags[slot] = task.tags
    this.#parents[slot] = task.parent
    this.#restartOfs[slot] = task.restartOf
    this.#priorities[slot] = task.priority
    this.#createdAts[slot] = task.createdAt
    this.#types[slot] = type
    this.#attempts[slot] = task.attempt
    this.#times[slot] = at
    return position
  }

  #isRead(task: string): boolean {
    if (this.#readerCount === 0) return false
    return this.#readers.size > 0 || this.#readersOf.has(task)
  }

  #tellKept(task: string, position: number): void {
    if (this.#isRead(task)) this.#tell(task, this.#event(position))
  }

  #tell(task: string, event: TaskEvent): void {
    for (const reader of this.#readers) this.#tellOne(reader, undefined, event)
    for (const reader of this.#readersOf.get(task) ?? []) this.#tellOne(reader, task, event)
  }

  /** What goes wrong with one reader is no matter of the others, and least of the task's. */
  #tellOne(reader: EventReader, task: string | undefined, event: TaskEvent): void {
    try {
      reader.onEvent(event)
    } catch (thrown) {
      this.#remove(reader, task)
      const { message } = toFailure(thrown)
      this.#log.error({ task: event.task.id, error: message }, 'reader of events threw: closed')
      reader.onEnd()
    }
  }

  *#walk(
    from: number,
    until: number,
    task: string | undefined,
  ): Generator<KeptEvent | typeof LOST, void> {
    for (let position = from; position < until; position++) {
      if (position < this.#next - this.#capacity) return yield LOST
      if (task === undefined || this.#ids[position % this.#capacity] === task)
        yield this.#event(position)
    }
  }

  #event(position: number): KeptEvent {
    const slot = position % this.#capacity
    const id = this.#id(position + 1)
    const at = this.#times[slot] ?? 0
    const task = {
      id: this.#ids[slot] ?? '',
      worker: this.#workers[slot] ?? '',
      priority: this.#priorities[slot] ?? 0,
      tags: this.#tags[slot],
      parent: this.#parents[slot],
      restartOf: this.#restartOfs[slot],
      createdAt: this.#createdAts[slot] ?? 0,
    }
    const progress = this.#progress.get(slot)
    if (progress !== undefined) return { id, type: 'progress', task, progress, at }
    return {
      id,
      type: 'status',
      task,
      status: STATUSES[this.#types[slot] ?? 0] ?? 'queued',
      attempt: this.#attempts[slot] ?? 0,
      error: this.#errors.get(slot),
      notice: this.#notices.get(slot),
      at,
    }
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
