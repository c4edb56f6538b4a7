import type { Json } from './json.ts'
import type { Action, Status } from './lifecycle.ts'
import type { LogEntry, LogLevel, NewTask, Outcome, Progress, Task } from './task.ts'

/** What `insert` holds a worker's queue to. */
export interface InsertLimits {
  /** Tasks of one worker that may be queued or scheduled at once. */
  maxQueued: number
  /** `reject`: refuse what could not start at once, instead of queueing it. */
  onLimit: 'queue' | 'reject'
}

export interface Inserted {
  task: Task
  /** True where an idempotency key was seen before: `task` is the first one. */
  replayed: boolean
}

/** Which tasks a list holds: those that fit every member given. */
export interface TaskQuery {
  statuses?: readonly Status[]
  worker?: string
  tag?: string
  parent?: string
  /** Created at or after, epoch milliseconds. */
  since?: number
  /** Created before, epoch milliseconds. */
  until?: number
  /** At most this many, 1 to 500. */
  limit: number
  /** As a page before gave it. */
  cursor?: string
}

export interface TaskPage {
  /** Newest first. */
  tasks: readonly Task[]
  /** Absent on the last page. */
  nextCursor?: string
}

/** How many tasks of one worker have each status. */
export type StatusCounts = { readonly [status in Status]: number }

/**
 * Whoever watches a store is told of each change, in the order it happened and after it can be read. The
 * task may be live: read it at once. No method may throw or take long.
 */
export interface Watcher {
  /** The task has a new status, or a new notice. */
  onStatus(task: Task, at: number): void
  onProgress(task: Task, progress: Progress, at: number): void
  onLog(task: Task, entry: LogEntry, at: number): void
}

/** What a running attempt tells the store about itself. */
export type Report =
  | { type: 'progress'; progress: Progress }
  | { type: 'log'; level: LogLevel; message: string }
  | { type: 'notice'; notice: string }

/** The side of a worker that a store calls. */
export interface Performer {
  /** Makes one attempt. Never rejects: whatever goes wrong is an outcome. */
  perform(task: Task): Promise<Outcome>
  /**
   * Tells the running attempt of an action. False where its worker does not take it; true where it does,
   * and where the attempt ended before it answered.
   */
  act(task: Task, action: Action): boolean | Promise<boolean>
}

/** The running connection between a worker's queue and its performer. */
export interface Consumer {
  /** Tasks performed at once from now on. Lowering it interrupts nothing. */
  setConcurrency(concurrency: number): void
  /** While suspended, queued tasks stay queued; running ones go on. */
  setSuspended(suspended: boolean): void
}

export interface PruneBounds {
  /** Tasks that finished before this, in epoch milliseconds, go. */
  finishedBefore: number
  /** Of the rest, only this many stay: those that finished last. */
  maxFinished: number
  /** At most this many go in one call, so that no call takes long. */
  limit: number
}

/**
 * Where tasks live and queue. It leases a task to its worker's performer, at most as many at once as the
 * consumer's concurrency, records what the attempt yields exactly once, and takes no edge that is not in
 * the lifecycle's table.
 *
 * Errors are those of the catalogue: `unknown-task`, `queue-full`, `batch-too-large`, `limit-reached`,
 * `idempotency-mismatch`, `idempotency-expired`, `invalid-cursor`, `action-not-allowed`, `action-refused`,
 * `task-not-finished`.
 */
export interface Store {
  /**
   * Inserts all of the tasks or, on an error, none. All are of one worker. A key that its worker has seen
   * with an equal input yields the first task again; with another input, `idempotency-mismatch`; where some
   * of its tasks are gone and others not, `idempotency-expired`. Resolves
   * only once the tasks are as safe as the store makes them. No attempt begins before it has resolved.
   */
  insert(tasks: readonly NewTask[], limits: InsertLimits): Promise<readonly Inserted[]>
  get(id: string): Promise<Task | undefined>
  list(query: TaskQuery): Promise<TaskPage>
  counts(worker: string): Promise<StatusCounts>
  /** Begins to perform a worker's queued tasks. One consumer for each worker in a process. */
  consume(worker: string, concurrency: number, performer: Performer): Consumer
  /**
   * Carries out an action. A running attempt is asked through {@link Performer.act}; what it answers is of
   * no other attempt: a cancel asks the next one again. Resolves with the task as it then is; a cancel of
   * one that is canceling already changes nothing.
   */
  act(id: string, action: Exclude<Action, 'restart'>): Promise<Task>
  /** Records what a running attempt says; ignored once the task has settled. */
  report(id: string, report: Report): void
  /** The log lines kept, oldest first, from an index on. */
  logs(id: string, fromIndex: number): Promise<readonly LogEntry[]>
  /**
   * Settles a task that waits for an answer, from outside: only the first answer finds it `waiting`. Rejects
   * with `action-not-allowed` where it is not.
   */
  answer(id: string, output: Json, by: string): Promise<Task>
  /** Forgets a finished task. */
  remove(id: string): Promise<void>
  /** Tells the watcher of every change from now on, until the returned function is called. */
  watch(watcher: Watcher): () => void
  /** Forgets finished tasks outside the bounds, oldest first; resolves with how many went. */
  prune(bounds: PruneBounds): Promise<number>
  /** Hands out no further task. Those that run go on. */
  suspend(): void
  /** Lets go of every timer, socket and file. Idempotent. */
  close(): Promise<void>
}
