import type { Json } from '../task/json.ts'
import type { Status } from '../task/lifecycle.ts'
import type { TaskLog } from '../task/log.ts'
import type { Failure, NewTask, Progress, Question, Task, TaskOptions } from '../task/task.ts'

/** A task as the memory store keeps it. One record a task: its size is most of what a task costs. */
export class MemoryTask implements Task {
  readonly id: string
  readonly worker: string
  status: Status
  readonly input: Json
  output: Json | undefined
  error: Failure | undefined
  progress: Progress | undefined
  attempt = 0
  readonly priority: number
  readonly tags: readonly string[] | undefined
  readonly parent: string | undefined
  readonly restartOf: string | undefined
  readonly options: TaskOptions | undefined
  question: Question | undefined
  notice: string | undefined
  readonly createdAt: number
  runAt: number | undefined
  /** Milliseconds since it was created, -1 for none: small integers cost no object of their own. */
  #startedAfter = -1
  #finishedAfter = -1
  readonly idempotencyKey: string | undefined
  log: TaskLog | undefined
  row = -1

  /** @param createdAt as the table stamps it, which is not before the task before it @param now by the clock */
  constructor(task: NewTask, createdAt: number, now: number) {
    this.id = task.id
    this.worker = task.worker
    this.input = task.input
    this.priority = task.priority
    this.tags = task.tags
    this.parent = task.parent
    this.restartOf = task.restartOf
    this.options = task.options
    this.createdAt = createdAt
    const scheduled = task.runAt !== undefined && task.runAt > now
    this.status = scheduled ? 'scheduled' : 'queued'
    this.runAt = scheduled ? task.runAt : undefined
    this.idempotencyKey = task.idempotencyKey
  }

  get startedAt(): number | undefined {
    return this.#startedAfter < 0 ? undefined : this.createdAt + this.#startedAfter
  }

  get finishedAt(): number | undefined {
    return this.#finishedAfter < 0 ? undefined : this.createdAt + this.#finishedAfter
  }

  /** Clocks can go back; a task does not. */
  started(at: number): void {
    this.#startedAfter = Math.max(0, at - this.createdAt)
  }

  finished(at: number): void {
    this.#finishedAfter = Math.max(0, at - this.createdAt)
  }
}
