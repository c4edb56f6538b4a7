import type { EgressPolicy } from '../task/egress.ts'
import { ErrandError, unknownTask } from '../task/errors.ts'
import type { Json } from '../task/json.ts'
import { type Action, holdsSlot, isTerminal } from '../task/lifecycle.ts'
import type { Consumer, Inserted, StatusCounts, Store, TaskPage, TaskQuery } from '../task/store.ts'
import type { LogEntry, NewTask, Task } from '../task/task.ts'
import { notWaiting, toAnswerOutput } from './answer.ts'
import { type CallbackOptions, Callbacks } from './callbacks.ts'
import { EventLog } from './events.ts'
import { Executor } from './executor.ts'
import { toFailure } from './failure.ts'
import type { Logger } from './logger.ts'
import { Pruner, type Retention } from './pruner.ts'
import { REDACTED } from './redactor.ts'
import type { RegisteredWorker, Registry } from './registry.ts'
import type { Secrets } from './secrets.ts'
import { newBatch, newRepeat, newTask, type SubmitOptions } from './submission.ts'
import { Threads } from './threads.ts'
import { type GiveUpSignal, Waiters } from './waiters.ts'

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
  /** Where the secrets are that inputs refer to. */
  secrets: Secrets
  /** How callbacks are delivered; undefined: they are refused. */
  callbacks: CallbackOptions | undefined
  /** Where tasks may connect to. */
  egress: EgressPolicy
  /** A token to call this very server with, for a URL of its own. */
  userToken?: ((url: string) => string | undefined) | undefined
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
  readonly #threads: Threads
  readonly #executor: Executor
  readonly #waiters = new Waiters()
  readonly #pruner: Pruner
  readonly #secrets: Secrets
  readonly #callbacks: Callbacks
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
    this.#secrets = options.secrets
    this.#callbacks = new Callbacks(options.callbacks, options)
    this.#pruner = new Pruner(options.store, options.retention, options.log)
    this.#threads = new Threads(options.egress)
    this.#executor = new Executor({
      registry: options.registry,
      threads: this.#threads,
      secrets: options.secrets,
      log: options.log,
      filesRoot: options.filesRoot,
      egress: options.egress,
      userToken: options.userToken,
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

  /** How many tasks somebody waits for. */
  get awaited(): number {
    return this.#waiters.size
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
    this.#checkPublic(worker)
    const task = newTask(this.#registry, worker, input, options)
    return only(await this.#insert(worker, [task], options))
  }

  /** Submits one task and waits for it, as {@link Engine.submit} and then {@link Engine.wait} do. */
  async submitAndWait(
    worker: string,
    input: unknown,
    options: SubmitOptions,
    timeoutMs: number,
    signal?: GiveUpSignal,
  ): Promise<Inserted> {
    this.#checkPublic(worker)
    const task = newTask(this.#registry, worker, input, options)
    // Before the task is inserted: it may have settled when this is told that it was.
    const waiter = this.#waiters.add(task.id, timeoutMs, signal)
    try {
      const { task: first, replayed } = only(await this.#insert(worker, [task], options))
      if (replayed) return { task: await this.wait(first.id, timeoutMs, signal), replayed }
      return { task: (await waiter.settled) ?? (await this.get(first.id)), replayed }
    } finally {
      this.#waiters.remove(waiter)
    }
  }

  /** Submits a task for each input: all, or none where one is refused. An idempotency key covers the list. */
  async submitAll(
    worker: string,
    inputs: readonly unknown[],
    options: SubmitOptions = {},
  ): Promise<readonly Inserted[]> {
    this.#checkPublic(worker)
    const tasks = newBatch(this.#registry, worker, inputs, options)
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
  async wait(id: string, timeoutMs: number, signal?: GiveUpSignal): Promise<Task> {
    // Before the task is read: it may settle in between.
    const waiter = this.#waiters.add(id, timeoutMs, signal)
    try {
      const task = await this.get(id)
      if (isTerminal(task.status) || this.#willNotRun(task)) return task
      return (await waiter.settled) ?? (await this.get(id))
    } finally {
      this.#waiters.remove(waiter)
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

  /**
   * Answers a task that waits for one, and resolves with it, completed. The first answer wins.
   *
   * @param by who answers, for the record
   * @throws {@link ErrandError} `invalid-answer`, after which the task goes on waiting; `already-answered`,
   * `question-expired`, `action-not-allowed`
   */
  async respond(id: string, answer: unknown, by: string): Promise<Task> {
    const task = await this.get(id)
    if (task.status !== 'waiting') throw notWaiting(task)
    const output = await toAnswerOutput(
      this.#registry,
      this.#secrets,
      this.#registry.get(task.worker),
      task,
      answer,
    )
    try {
      return await this.#store.answer(id, output, by)
    } catch (error) {
      // Somebody was faster.
      const now = await this.get(id)
      throw now.status === 'waiting' ? error : notWaiting(now)
    }
  }

  /** Forgets a finished task. @throws {@link ErrandError} `task-not-finished` */
  remove(id: string): Promise<void> {
    return this.#store.remove(id)
  }

  /** The input of a task as it may be shown: without its secrets. */
  shownInput({ worker, input }: Task): Json {
    // What a worker that is not here any more held to be secret, nobody knows.
    if (!this.#registry.has(worker)) return REDACTED
    return this.#registry.get(worker).secrets?.hide(input) ?? input
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

  /** A worker that only Errand itself gives tasks to; anybody may have one of these repeated. */
  #checkPublic(worker: string): void {
    if (!this.#registry.get(worker).isInternal) return
    throw new ErrandError('internal-worker', `Errand alone submits to worker ${worker}.`)
  }

  #insert(
    worker: string,
    tasks: readonly NewTask[],
    options: SubmitOptions,
  ): Promise<readonly Inserted[]> {
    if (this.isStopping) throw stopping()
    this.#callbacks.check(options.callback)
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
      const { again, options } = newRepeat(this.#registry, task)
      return only(await this.#insert(task.worker, [again], options)).task
    }
    const performer = this.#executor.performer(this.#registry.get(task.worker))
    if (!this.#executor.isRunning(task.id)) {
      throw new ErrandError(
        'action-not-allowed',
        `Task ${task.id} is ${task.status}: only a running or a finished task can be restarted.`,
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
    if (task.options?.callback !== undefined) queueMicrotask(() => this.#callbacks.settled(task))
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

function only(inserted: readonly Inserted[]): Inserted {
  const [first] = inserted
  if (first === undefined) throw new Error('the store returned no task for the one inserted')
  return first
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
