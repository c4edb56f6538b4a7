import { isDeepStrictEqual } from 'node:util'
import { ErrandError, unknownTask } from '../task/errors.ts'
import type { Json } from '../task/json.ts'
import { type Action, holdsSlot, isTerminal, route, type Status } from '../task/lifecycle.ts'
import { TaskLog } from '../task/log.ts'
import type {
  Consumer,
  Inserted,
  InsertLimits,
  Performer,
  PruneBounds,
  Report,
  StatusCounts,
  Store,
  TaskPage,
  TaskQuery,
  Watcher,
} from '../task/store.ts'
import type { Failure, LogEntry, NewTask, Outcome, Question, Task } from '../task/task.ts'
import { DueQueue } from './due-queue.ts'
import { MemoryTask } from './memory-task.ts'
import { TaskTable } from './task-table.ts'
import { WorkerQueue } from './worker-queue.ts'

/** Attempts are begun for this long, in milliseconds, before the rest of the event loop gets its turn; */
const SLICE_MS = 5
/** or, where the rest took longer, for as long as that, up to this: what is accepted must also be performed. */
const MAX_SLICE_MS = 50
/** Removed tasks that are held at the least before they are swept. */
const SWEEP_AT = 100

type Settled = Exclude<Outcome, { status: 'suspended' }>

/** Tasks in the memory of this process: nothing beside it is needed, and nothing outlives it. */
export class MemoryStore implements Store {
  readonly #table = new TaskTable<MemoryTask>()
  readonly #keys = new Map<string, { task: MemoryTask; batchSize: number | undefined }>()
  readonly #queues = new Map<string, WorkerQueue>()
  #watchers: readonly Watcher[] = []
  readonly #due = new DueQueue<MemoryTask>(
    (task, at) => this.#onDue(task, at),
    (task) => !holdsSlot(task.status) && !isTerminal(task.status),
  )
  /** Why those that wait for an answer fail where none comes in time. */
  readonly #expiries = new WeakMap<MemoryTask, Failure>()
  /** Finished tasks in the order they finished, from `#finishedHead` on; removed ones among them. */
  #finished: MemoryTask[] = []
  #finishedHead = 0
  #finishedCount = 0
  #toDrain: WorkerQueue[] = []
  #drain: NodeJS.Immediate | undefined
  #sliceEnd = 0
  #suspended = false

  async insert(tasks: readonly NewTask[], limits: InsertLimits): Promise<readonly Inserted[]> {
    const first = tasks[0]
    if (first === undefined) return []
    const seen = this.#replay(tasks)
    if (seen !== undefined) return seen
    this.#checkLimits(first.worker, tasks.length, limits)
    const now = Date.now()
    const createdAt = this.#table.stamp(now)
    const queue = this.#queues.get(first.worker)
    const inserted: Inserted[] = []
    for (const task of tasks) {
      inserted.push({
        task: this.#add(new MemoryTask(task, createdAt, now), queue, task.batchSize),
        replayed: false,
      })
    }
    if (queue !== undefined) this.#wake(queue)
    return inserted
  }

  async get(id: string): Promise<Task | undefined> {
    return this.#table.get(id)
  }

  async list(query: TaskQuery): Promise<TaskPage> {
    return this.#table.page(query)
  }

  async counts(worker: string): Promise<StatusCounts> {
    return this.#table.counts(worker)
  }

  consume(worker: string, concurrency: number, performer: Performer): Consumer {
    const queue = new WorkerQueue(performer, concurrency, (roomy) => this.#wake(roomy))
    this.#queues.set(worker, queue)
    return queue
  }

  async act(id: string, action: Exclude<Action, 'restart'>): Promise<Task> {
    const task = this.#find(id)
    if (action === 'cancel') return this.#cancel(task)
    const [from, to] =
      action === 'pause' ? (['running', 'paused'] as const) : (['paused', 'running'] as const)
    if (task.status !== from) throw notAllowed(task, action)
    const { attempt } = task
    await this.#ask(task, action)
    // The attempt may have ended while its worker was asked, and another have begun.
    if (task.status === from && task.attempt === attempt) this.#move(task, to)
    return task
  }

  report(id: string, report: Report): void {
    const task = this.#table.get(id)
    if (task === undefined || isTerminal(task.status)) return
    const at = Date.now()
    if (report.type === 'progress') {
      task.progress = report.progress
      for (const watcher of this.#watchers) watcher.onProgress(task, report.progress, at)
    } else if (report.type === 'log') {
      task.log ??= new TaskLog()
      const entry = task.log.append(at, report.level, report.message)
      for (const watcher of this.#watchers) watcher.onLog(task, entry, at)
    } else {
      task.notice = report.notice
      this.#tell(task, at)
    }
  }

  async logs(id: string, fromIndex: number): Promise<readonly LogEntry[]> {
    const entries = this.#find(id).log?.entries ?? []
    return entries.filter((entry) => entry.index >= fromIndex)
  }

  async answer(id: string, output: Json, by: string): Promise<Task> {
    const task = this.#find(id)
    if (task.status !== 'waiting' || task.question === undefined) {
      throw new ErrandError(
        'action-not-allowed',
        `Task ${id} is ${task.status}: it waits for no answer.`,
      )
    }
    task.question = { ...task.question, answeredBy: by, answeredAt: Date.now() }
    this.#settle(task, { status: 'completed', output })
    return task
  }

  async remove(id: string): Promise<void> {
    const task = this.#find(id)
    if (!isTerminal(task.status)) {
      throw new ErrandError(
        'task-not-finished',
        `Task ${id} is ${task.status}: cancel it, or wait until it has finished, before you delete it.`,
      )
    }
    this.#forget(task)
    this.#sweepFinished()
  }

  watch(watcher: Watcher): () => void {
    this.#watchers = [...this.#watchers, watcher]
    return () => {
      this.#watchers = this.#watchers.filter((other) => other !== watcher)
    }
  }

  async prune(bounds: PruneBounds): Promise<number> {
    let pruned = 0
    while (pruned < bounds.limit && this.#finishedHead < this.#finished.length) {
      const oldest = this.#finished[this.#finishedHead]
      if (oldest !== undefined && oldest.row !== -1) {
        const isOld = (oldest.finishedAt ?? 0) < bounds.finishedBefore
        if (!isOld && this.#finishedCount <= bounds.maxFinished) break
        this.#forget(oldest)
        pruned++
      }
      this.#finishedHead++
    }
    if (this.#finishedHead * 2 > this.#finished.length) {
      this.#finished = this.#finished.slice(this.#finishedHead)
      this.#finishedHead = 0
    }
    return pruned
  }

  suspend(): void {
    this.#suspended = true
  }

  async close(): Promise<void> {
    this.suspend()
    clearImmediate(this.#drain)
    this.#drain = undefined
    this.#toDrain = []
    this.#due.close()
    this.#watchers = []
  }

  /** Lets go of tasks that were removed while older ones stay, once they outnumber those. */
  #sweepFinished(): void {
    if (this.#finished.length - this.#finishedHead < this.#finishedCount * 2 + SWEEP_AT) return
    this.#finished = this.#finished.slice(this.#finishedHead).filter(({ row }) => row !== -1)
    this.#finishedHead = 0
  }

  /** The tasks first inserted under these keys, or nothing where none has been seen. */
  #replay(tasks: readonly NewTask[]): Inserted[] | undefined {
    if (tasks[0]?.idempotencyKey === undefined) return undefined
    const seen = tasks.map((task) => this.#keys.get(keyOf(task)))
    const kept = seen.filter((first) => first !== undefined)
    if (kept.length === 0) return undefined
    for (const [i, first] of seen.entries()) {
      const again = tasks[i]
      if (first === undefined) continue
      if (first.batchSize !== again?.batchSize) throw keyMismatch(again)
      if (!isDeepStrictEqual(first.task.input, again?.input)) throw keyMismatch(again)
    }
    if (kept.length < tasks.length) throw keyExpired(tasks, kept.length)
    return kept.map(({ task }) => ({ task, replayed: true }))
  }

  #checkLimits(worker: string, adding: number, limits: InsertLimits): void {
    const queue = this.#queues.get(worker)
    const isReject = limits.onLimit === 'reject'
    const most = Math.min(limits.maxQueued, isReject ? (queue?.concurrency ?? adding) : adding)
    if (adding > most) {
      throw new ErrandError(
        'batch-too-large',
        `Worker ${worker} never takes a batch of ${adding}: ${isReject ? `with onLimit=reject, at most ${most} tasks can start at once` : `its queue holds at most ${most} tasks`}. Submit smaller ones.`,
      )
    }
    if (isReject && queue?.canStart(adding) === false) {
      throw new ErrandError(
        'limit-reached',
        `Worker ${worker} has no free slot for ${adding === 1 ? 'this task' : `these ${adding} tasks`}: try again, or submit with onLimit=queue.`,
        { retryAfter: 1 },
      )
    }
    const queued = this.#table.count(worker, 'queued') + this.#table.count(worker, 'scheduled')
    if (queued + adding > limits.maxQueued) {
      throw new ErrandError(
        'queue-full',
        `Worker ${worker} has ${queued} tasks queued, of at most ${limits.maxQueued}: try again when some have run.`,
        { retryAfter: 1 },
      )
    }
  }

  #add(task: MemoryTask, queue: WorkerQueue | undefined, batchSize?: number): MemoryTask {
    if (task.idempotencyKey !== undefined) this.#keys.set(keyOf(task), { task, batchSize })
    this.#table.append(task)
    if (task.status === 'queued') queue?.ready.push(task, task.priority)
    this.#watchTimes(task)
    this.#tell(task, task.createdAt)
    return task
  }

  /** Of a task that waits: anew each time, since what does not wait is swept from the due. */
  #watchTimes(task: MemoryTask): void {
    if (task.runAt !== undefined) this.#due.add(task.runAt, task)
    if (task.options?.deadline !== undefined) this.#due.add(task.options.deadline, task)
  }

  /** Has the queue's tasks begun soon, after whoever inserted them was answered. */
  #wake(queue: WorkerQueue): void {
    if (!queue.hasRoom || queue.ready.size === 0 || this.#suspended) return
    if (!this.#toDrain.includes(queue)) this.#toDrain.push(queue)
    if (this.#drain !== undefined) return
    const woken = Date.now()
    this.#drain = setImmediate(() => {
      this.#drain = undefined
      const now = Date.now()
      this.#sliceEnd = now + Math.min(Math.max(now - woken, SLICE_MS), MAX_SLICE_MS)
      const queues = this.#toDrain
      this.#toDrain = []
      for (const next of queues) this.#begin(next)
    })
  }

  /** Begins tasks while there are slots, for a slice of time; what is left waits for the next turn. */
  #begin(queue: WorkerQueue): void {
    while (queue.hasRoom && queue.ready.size > 0 && !this.#suspended) {
      const now = Date.now()
      if (now > this.#sliceEnd) return this.#wake(queue)
      const task = queue.ready.shift()
      if (task === undefined) return
      this.#attempt(queue, task, now)
    }
  }

  #attempt(queue: WorkerQueue, task: MemoryTask, now: number): void {
    queue.running++
    task.attempt++
    task.started(now)
    this.#move(task, 'running', now)
    queue.performer.perform(task).then((outcome) => {
      queue.running--
      this.#record(task, outcome)
      this.#begin(queue)
    })
  }

  /** Records what an attempt yielded. */
  #record(task: MemoryTask, outcome: Outcome): void {
    if (outcome.status === 'failed' && outcome.retryInMs !== undefined) {
      if (task.status !== 'canceling') return this.#requeue(task, outcome.error, outcome.retryInMs)
      return this.#settle(task, { status: 'canceled', error: outcome.error })
    }
    if (outcome.status !== 'suspended') return this.#settle(task, outcome)
    if (task.status === 'canceling') return this.#settle(task, canceled('while it ran'))
    this.#suspend(task, outcome.question, outcome.expired)
  }

  #suspend(task: MemoryTask, question: Question, expired: Failure): void {
    task.question = question
    task.error = undefined
    task.notice = undefined
    task.progress = undefined
    for (const step of route(task.status, 'waiting')) this.#move(task, step)
    if (question.expiresAt !== undefined) {
      this.#expiries.set(task, expired)
      this.#due.add(question.expiresAt, task)
    }
    if (task.options?.deadline !== undefined) this.#due.add(task.options.deadline, task)
  }

  #requeue(task: MemoryTask, error: Failure, delayMs: number): void {
    task.error = error
    task.notice = undefined
    task.progress = undefined
    task.runAt = Date.now() + delayMs
    for (const step of route(task.status, 'queued')) this.#move(task, step)
    this.#watchTimes(task)
  }

  #settle(task: MemoryTask, outcome: Settled): void {
    const steps = route(task.status, outcome.status)
    if (steps.length === 0) return
    if (outcome.status !== 'canceled') task.output = outcome.output
    task.error = outcome.status === 'completed' ? undefined : outcome.error
    task.notice = undefined
    task.runAt = undefined
    const now = Date.now()
    task.finished(now)
    for (const step of steps) this.#move(task, step, now)
    this.#finished.push(task)
    this.#finishedCount++
  }

  async #cancel(task: MemoryTask): Promise<Task> {
    if (isTerminal(task.status)) throw notAllowed(task, 'cancel')
    // It may settle, go back to its queue, or begin another attempt while its worker is asked.
    while (holdsSlot(task.status)) {
      if (task.status === 'canceling') return task
      const { attempt } = task
      await this.#ask(task, 'cancel')
      if (isTerminal(task.status)) return task
      if (task.attempt !== attempt) continue
      for (const step of route(task.status, 'canceling')) this.#move(task, step)
    }
    this.#settleUnstarted(task, canceled(whenUnstarted(task)))
    return task
  }

  async #ask(task: MemoryTask, action: Action): Promise<void> {
    const taken = await this.#queues.get(task.worker)?.performer.act(task, action)
    if (taken !== true) throw refused(task, action)
  }

  #onDue(task: MemoryTask, at: number): void {
    if (task.status === 'waiting') return this.#onExpired(task, at)
    if (task.status !== 'scheduled' && task.status !== 'queued') return
    if (task.runAt !== undefined && task.runAt <= at) {
      task.runAt = undefined
      if (task.status === 'scheduled') this.#move(task, 'queued')
      const queue = this.#queues.get(task.worker)
      queue?.ready.push(task, task.priority)
      if (queue !== undefined) this.#wake(queue)
      return
    }
    if (task.options?.deadline === undefined || task.options.deadline > at) return
    this.#settleUnstarted(task, { status: 'failed', error: pastDeadline('ran') })
  }

  #onExpired(task: MemoryTask, at: number): void {
    const expired = this.#expiries.get(task)
    const { expiresAt = Number.POSITIVE_INFINITY } = task.question ?? {}
    if (expired !== undefined && expiresAt <= at)
      return this.#settle(task, { status: 'failed', error: expired })
    const { deadline = Number.POSITIVE_INFINITY } = task.options ?? {}
    if (deadline <= at)
      this.#settle(task, { status: 'failed', error: pastDeadline('was answered') })
  }

  /** Settles a task that no attempt holds, and takes it out of its queue. */
  #settleUnstarted(task: MemoryTask, outcome: Settled): void {
    const wasReady = task.status === 'queued' && task.runAt === undefined
    this.#settle(task, outcome)
    // Only now: the queue tells the stale from the ready by their status.
    if (wasReady) this.#queues.get(task.worker)?.ready.discard()
  }

  #move(task: MemoryTask, to: Status, at: number = Date.now()): void {
    const from = task.status
    task.status = to
    this.#table.moved(task, from)
    this.#tell(task, at)
  }

  #forget(task: MemoryTask): void {
    if (task.idempotencyKey !== undefined) this.#keys.delete(keyOf(task))
    this.#table.remove(task)
    this.#finishedCount--
  }

  #tell(task: MemoryTask, at: number): void {
    for (const watcher of this.#watchers) watcher.onStatus(task, at)
  }

  #find(id: string): MemoryTask {
    const task = this.#table.get(id)
    if (task === undefined) throw unknownTask(id)
    return task
  }
}

function keyOf(task: { worker: string; idempotencyKey?: string | undefined }): string {
  return `${task.worker} ${task.idempotencyKey}`
}

function keyMismatch(task: NewTask | undefined): ErrandError {
  return new ErrandError(
    'idempotency-mismatch',
    `The idempotency key ${shownKey(task)} was used for worker ${task?.worker} with another input: use a new key for a new task.`,
  )
}

function keyExpired(tasks: readonly NewTask[], kept: number): ErrandError {
  const [first] = tasks
  return new ErrandError(
    'idempotency-expired',
    `Of the ${tasks.length} tasks that were made for worker ${first?.worker} under the idempotency key ${shownKey(first)}, ${kept} are left, the others were deleted or their retention has passed: use a new key to submit all of them again.`,
  )
}

function shownKey(task: NewTask | undefined): string {
  return JSON.stringify(task?.idempotencyKey?.split('\0')[0])
}

function canceled(when: string): Settled {
  const message = `The task was canceled ${when.replace(/\.$/, '')}.`
  return { status: 'canceled', error: { code: 'canceled', message, retryable: false } }
}

function whenUnstarted({ status, attempt, error }: Task): string {
  if (status === 'waiting') return 'while it waited'
  if (attempt === 0) return 'before it ran'
  const cause =
    error === undefined ? '' : `, of which the last failed with ${error.code}: ${error.message}`
  return `between its attempts${cause}`
}

function pastDeadline(what: string): Failure {
  const message = `The deadline passed before the task ${what}.`
  return { code: 'deadline-exceeded', message, retryable: false }
}

function notAllowed(task: Task, action: Action): ErrandError {
  return new ErrandError(
    'action-not-allowed',
    `Task ${task.id} is ${task.status}: it cannot ${action} from there.`,
  )
}

function refused(task: Task, action: Action): ErrandError {
  return new ErrandError(
    'action-refused',
    `Worker ${task.worker} does not take ${action} for task ${task.id}.`,
  )
}
