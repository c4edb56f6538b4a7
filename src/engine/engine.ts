import { ErrandError, unknownTask } from '../task/errors.ts'
import { newId } from '../task/id.ts'
import { type Action, holdsSlot, isTerminal } from '../task/lifecycle.ts'
import type { Consumer, Inserted, StatusCounts, Store, TaskPage, TaskQuery } from '../task/store.ts'
import type { LogEntry, NewTask, Task, TaskOptions } from '../task/task.ts'
import { PRIORITIES } from '../task/task.ts'
import { EventLog } from './events.ts'
import { Executor } from './executor.ts'
import { toFailure } from './failure.ts'
import type { Logger } from './logger.ts'
import { Pruner, type Retention } from './pruner.ts'
import type { RegisteredWorker, Registry } from './registry.ts'
import { Threads } from './threads.ts'
import { Waiters } from './waiters.ts'

/** How long aborted attempts may take to let go when the engine stops, in milliseconds. */
const LET_GO_MS = 2_000

export interface EngineOptions {
  registry: Registry
  store: Store
  log: Logger
  retention: Retention
  /** Tasks of one worker that may be queued or scheduled at once. */
  maxQueued: number
  /** The largest output, in characters of its JSON, roughly. */
  maxOutput: number
  /** The folder that workers keep file access within, absolute. */
  filesRoot: string
}

/** What may be asked for with any task. */
export interface SubmitOptions extends TaskOptions {
  /** 0 to 9; 9 is taken from the queue first. */
  priority?: number
  tags?: readonly string[]
  /** The earliest start, in epoch milliseconds. */
  runAt?: number
  /** Of a worker's tasks, only the first with a key is made; later ones yield it again. */
  idempotencyKey?: string
  /** `reject`: refuse what cannot start at once. */
  onLimit?: 'queue' | 'reject'
  /** The task that starts this one. */
  parent?: string
}

/** A worker as it stands. */
export interface WorkerState {
  worker: RegisteredWorker
  status: 'enabled' | 'disabled'
  counts: StatusCounts
}

/**
 * What every door calls. It knows workers and tasks; it does not know HTTP, nor where tasks are kept.
 *
 * Methods that take a task's id reject with `unknown-task`, those that take a worker's name with
 * `unknown-worker`; submits reject with `stopping` once {@link Engine.stop} was called.
 */
export class Engine {
  readonly events: EventLog
  readonly #registry: Registry
  readonly #store: Store
  readonly #log: Logger
  readonly #threads = new Threads()
  readonly #executor: Executor
  readonly #waiters = new Waiters()
  readonly #pruner: Pruner
  readonly #maxQueued: number
  readonly #consumers = new Map<string, Consumer>()
  #stopping = false
  #unwatch: (() => void) | undefined
  #stopped: Promise<void> | undefined

  constructor(options: EngineOptions) {
    this.#registry = options.registry
    this.#store = options.store
    this.#log = options.log
    this.events = new EventLog(options.log)
    this.#maxQueued = options.maxQueued
    this.#pruner = new Pruner(options.store, options.retention, options.log)
    this.#executor = new Executor({
      registry: options.registry,
      threads: this.#threads,
      log: options.log,
      filesRoot: options.filesRoot,
      maxOutput: options.maxOutput,
      report: (id, report) => this.#store.report(id, report),
    })
  }

  /** Begins to perform what is queued. Idempotent. */
  start(): void {
    if (this.#unwatch !== undefined || this.isStopping) return
    this.#unwatch = this.#store.watch({
      onStatus: (task, at) => this.#onStatus(task, at),
      onProgress: (task, progress, at) => this.events.onProgress(task, progress, at),
      onLog: (task, entry, at) => this.events.onLog(task, entry, at),
    })
    for (const worker of this.#registry.list()) {
      const performer = this.#executor.performer(worker)
      this.#consumers.set(
        worker.name,
        this.#store.consume(worker.name, worker.maxNumTasks, performer),
      )
    }
    this.#pruner.start()
  }

  /** How many attempts have not ended. */
  get running(): number {
    return this.#executor.running.length
  }

  get isStopping(): boolean {
    return this.#stopping
  }

  /**
   * Stops: no submit is taken and no attempt begun from now on; running attempts have `graceMs` to end, and
   * are then told to. Resolves when nothing is left behind. Idempotent.
   */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs)
    return this.#stopped
  }

  /**
   * Submits one task.
   *
   * @throws {@link ErrandError} `invalid-input`, `worker-disabled`, `queue-full`, `limit-reached`,
   * `idempotency-mismatch`
   */
  async submit(worker: string, input: unknown, options: SubmitOptions = {}): Promise<Inserted> {
    const inserted = await this.#insert(worker, [this.#newTask(worker, input, options)], options)
    const [first] = inserted
    if (first === undefined) throw new Error('the store returned no task for the one inserted')
    return first
  }

  /** Submits a task for each input: all, or none where one is refused. An idempotency key covers the list. */
  async submitAll(
    worker: string,
    inputs: readonly unknown[],
    options: SubmitOptions = {},
  ): Promise<readonly Inserted[]> {
    const tasks: NewTask[] = []
    for (const [i, input] of inputs.entries()) {
      try {
        const task = this.#newTask(worker, input, options)
        task.idempotencyKey = keyWithin(options.idempotencyKey, i)
        task.batchSize = inputs.length
        tasks.push(task)
      } catch (error) {
        throw error instanceof ErrandError ? atIndex(error, i) : error
      }
    }
    return this.#insert(worker, tasks, options)
  }

  async get(id: string): Promise<Task> {
    const task = await this.#store.get(id)
    if (task === undefined) throw unknownTask(id)
    return task
  }

  list(query: TaskQuery): Promise<TaskPage> {
    return this.#store.list(query)
  }

  /**
   * Resolves with the task once it has settled, or as it stands after `timeoutMs`, when the signal aborts,
   * or when the engine stops and will not run it.
   */
  async wait(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Task> {
    const { promise, resolve } = Promise.withResolvers<Task | undefined>()
    const giveUp = () => resolve(undefined)
    let timer: NodeJS.Timeout | undefined
    // Before the task is read: it may settle in between.
    this.#waiters.add(id, resolve)
    try {
      const task = await this.#store.get(id)
      if (task === undefined) throw unknownTask(id)
      if (isTerminal(task.status) || this.#willNotRun(task) || signal?.aborted === true) return task
      timer = setTimeout(giveUp, timeoutMs)
      signal?.addEventListener('abort', giveUp)
      return (await promise) ?? (await this.get(id))
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
      this.#waiters.remove(id, resolve)
    }
  }

  /**
   * Carries out an action and resolves with the task. `restart` of a finished task makes a new one, which
   * names it; of a running one, it is the worker's to take.
   *
   * @throws {@link ErrandError} `action-not-allowed`, `action-refused`
   */
  async act(id: string, action: Action): Promise<Task> {
    return action === 'restart' ? this.#restart(await this.get(id)) : this.#store.act(id, action)
  }

  /** Forgets a finished task. @throws {@link ErrandError} `task-not-finished` */
  remove(id: string): Promise<void> {
    return this.#store.remove(id)
  }

  /** The log lines kept of a task, oldest first, from an index on. */
  logs(id: string, fromIndex = 0): Promise<readonly LogEntry[]> {
    return this.#store.logs(id, fromIndex)
  }

  /** Whether a submit to this worker may leave the input out. */
  takesNothing(worker: string): boolean {
    return this.#registry.isInputOptional(worker)
  }

  workers(): Promise<WorkerState[]> {
    return Promise.all(this.#registry.list().map((worker) => this.worker(worker.name)))
  }

  async worker(name: string): Promise<WorkerState> {
    const worker = this.#registry.get(name)
    return {
      worker,
      status: this.#isEnabled(worker) ? 'enabled' : 'disabled',
      counts: await this.#store.counts(name),
    }
  }

  /**
   * Enables or disables a worker, or changes how many tasks it performs at once. While it is disabled it
   * refuses submits, and what is queued stays queued.
   */
  configure(
    name: string,
    change: { enabled?: boolean; maxNumTasks?: number },
  ): Promise<WorkerState> {
    const worker = this.#registry.get(name)
    const consumer = this.#consumers.get(name)
    if (change.maxNumTasks !== undefined) {
      worker.maxNumTasks = change.maxNumTasks
      consumer?.setConcurrency(change.maxNumTasks)
    }
    if (change.enabled !== undefined) {
      worker.enabled = change.enabled
      consumer?.setSuspended(!change.enabled)
    }
    return this.worker(name)
  }

  #newTask(worker: string, input: unknown, options: SubmitOptions): NewTask {
    return {
      id: newId(),
      worker,
      input: this.#registry.parseInput(worker, input),
      priority: options.priority ?? PRIORITIES.normal,
      tags: options.tags === undefined || options.tags.length === 0 ? undefined : options.tags,
      parent: options.parent,
      restartOf: undefined,
      options: toTaskOptions(options),
      runAt: options.runAt,
      idempotencyKey: options.idempotencyKey,
      batchSize: undefined,
    }
  }

  #insert(
    worker: string,
    tasks: readonly NewTask[],
    options: SubmitOptions,
  ): Promise<readonly Inserted[]> {
    if (this.isStopping) throw stopping()
    const registered = this.#registry.get(worker)
    if (!this.#isEnabled(registered)) {
      throw new ErrandError(
        'worker-disabled',
        `Worker ${worker} is disabled: enable it with PATCH /workers/${worker}.`,
      )
    }
    return this.#store.insert(tasks, {
      maxQueued: this.#maxQueued,
      onLimit: options.onLimit ?? 'queue',
    })
  }

  async #restart(task: Task): Promise<Task> {
    if (isTerminal(task.status)) {
      const { deadline: _passed, ...options } = task.options ?? {}
      const repeated: SubmitOptions = {
        ...options,
        priority: task.priority,
        ...(task.tags !== undefined && { tags: task.tags }),
        ...(task.parent !== undefined && { parent: task.parent }),
      }
      const again = { ...this.#newTask(task.worker, task.input, repeated), restartOf: task.id }
      const [inserted] = await this.#insert(task.worker, [again], repeated)
      return inserted?.task ?? task
    }
    const performer = this.#executor.performer(this.#registry.get(task.worker))
    if (!this.#executor.isRunning(task.id)) {
      throw new ErrandError(
        'action-not-allowed',
        `Task ${task.id} is ${task.status}: it has not run yet.`,
      )
    }
    if (await performer.act(task, 'restart')) return this.get(task.id)
    throw new ErrandError(
      'action-refused',
      `Worker ${task.worker} does not restart a running task: cancel ${task.id}, then restart it.`,
    )
  }

  /** As the operator and the worker itself say; one whose `status` throws is not asked to perform. */
  #isEnabled(worker: RegisteredWorker): boolean {
    if (!worker.enabled) return false
    try {
      return worker.definition.status?.() !== 'disabled'
    } catch (thrown) {
      this.#log.error(
        { worker: worker.name, error: toFailure(thrown).message },
        'worker threw in its status',
      )
      return false
    }
  }

  #onStatus(task: Task, at: number): void {
    this.events.onStatus(task, at)
    if (!isTerminal(task.status)) {
      // What goes back to its queue now will not run here any more.
      if (this.isStopping && !holdsSlot(task.status)) this.#waiters.settled(task)
      return
    }
    this.#waiters.settled(task)
    this.#pruner.finished()
  }

  #willNotRun(task: Task): boolean {
    return this.isStopping && !this.#executor.isRunning(task.id)
  }

  async #stop(graceMs: number): Promise<void> {
    this.#stopping = true
    this.#store.suspend()
    await this.#answerWaiters((task) => this.#willNotRun(task))
    if (!(await this.#executor.idle(graceMs))) {
      this.#log.warn(
        { tasks: this.#executor.running.length },
        'grace is over: aborting the tasks that still run',
      )
      this.#executor.abortAll()
      if (!(await this.#executor.idle(LET_GO_MS))) {
        this.#log.error(
          { tasks: this.#executor.running.slice(0, 20) },
          'tasks ignore their signal and are left behind',
        )
      }
    }
    // Outcomes are recorded in the microtasks after their attempts ended.
    await new Promise((resolve) => setImmediate(resolve))
    await this.#answerWaiters(() => true)
    this.events.close()
    await this.#pruner.stop()
    await this.#threads.close()
    this.#unwatch?.()
    await this.#store.close()
  }

  /** Answers those who wait for such tasks with how they stand. */
  async #answerWaiters(isHopeless: (task: Task) => boolean): Promise<void> {
    for (const id of this.#waiters.ids()) {
      const task = await this.#store.get(id)
      if (task !== undefined && isHopeless(task)) this.#waiters.settled(task)
    }
  }
}

function toTaskOptions({ timeout, deadline, retry }: TaskOptions): TaskOptions | undefined {
  if (timeout === undefined && deadline === undefined && retry === undefined) return undefined
  return {
    ...(timeout !== undefined && { timeout }),
    ...(deadline !== undefined && { deadline }),
    ...(retry !== undefined && { retry }),
  }
}

/** Within a batch each task has a key of its place; no key that a client can send has the separator in it. */
function keyWithin(key: string | undefined, index: number): string | undefined {
  return key === undefined ? undefined : `${key}\0${index}`
}

function atIndex(error: ErrandError, index: number): ErrandError {
  const faults = error.faults?.map(({ path, message }) => ({ path: `/${index}${path}`, message }))
  return new ErrandError(
    error.code,
    `Input ${index} of the batch: ${error.message}`,
    faults && { faults },
  )
}

function stopping(): ErrandError {
  return new ErrandError(
    'stopping',
    'The server is stopping and takes no more tasks: submit to another, or later.',
    {
      retryAfter: 5,
    },
  )
}
