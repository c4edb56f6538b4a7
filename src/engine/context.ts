import { Alarm } from '../task/alarm.ts'
import type { Egress } from '../task/egress.ts'
import type { Report } from '../task/store.ts'
import { type Asking, Suspension } from '../task/suspension.ts'
import type { LogLevel } from '../task/task.ts'
import { type StopReason, type TaskContext, type TaskLogger, TaskTimedOut } from '../task/worker.ts'

/** Progress is told at most this often, in milliseconds; what came last is always told. */
const PROGRESS_EVERY_MS = 100

/** Who makes the attempt, and hears of what happens in it. */
export interface AttemptHost {
  report(report: Report): void
  /** Called once the attempt was told to end, whoever told it. */
  onAbort?(): void
  /** Called when the worker first calls `checkpoint`. */
  onCheckpoint?(): void
}

export interface AttemptOptions {
  id: string
  attempt: number
  filesRoot: string
  egress: Egress
  /** See {@link TaskContext.userToken}. */
  userToken?: ((url: string) => string | undefined) | undefined
  /** Milliseconds that the attempt may take, pauses not counted. */
  timeout?: number | undefined
  /** Epoch milliseconds. */
  deadline?: number | undefined
  /** A deadline to show and not to keep, where another context keeps it: epoch milliseconds. */
  shownDeadline?: number | undefined
}

/**
 * The context of one attempt, as its worker sees it, and the handles by which the executor steers it.
 * Whatever is called on it after `end` does nothing.
 */
export class AttemptContext implements TaskContext {
  readonly id: string
  readonly attempt: number
  readonly filesRoot: string
  readonly egress: Egress
  readonly #options: AttemptOptions
  readonly #host: AttemptHost
  readonly #deadline: number
  #controller: AbortController | undefined
  #reason: StopReason | undefined
  #log: TaskLogger | undefined
  #limit: Alarm | undefined
  /** When the timeout strikes, past pauses added. The deadline stands apart: no pause moves it. */
  #timeoutAt = Number.POSITIVE_INFINITY
  #pausedAt: number | undefined
  #resumed: PromiseWithResolvers<void> | undefined
  #progress: Extract<Report, { type: 'progress' }> | undefined
  #progressTimer: NodeJS.Timeout | undefined
  #usesCheckpoints = false
  #checkpointed: PromiseWithResolvers<boolean> | undefined
  #onSteer: (() => void) | undefined
  #ended = false

  constructor(options: AttemptOptions, host: AttemptHost) {
    this.#host = host
    this.id = options.id
    this.attempt = options.attempt
    this.filesRoot = options.filesRoot
    this.egress = options.egress
    this.#options = options
    this.#deadline = options.deadline ?? Number.POSITIVE_INFINITY
    if (options.timeout !== undefined) this.#timeoutAt = Date.now() + options.timeout
    this.#arm()
  }

  get deadline(): Date | undefined {
    const at = this.#options.shownDeadline ?? Math.min(this.#timeoutAt, this.#deadline)
    return at === Number.POSITIVE_INFINITY ? undefined : new Date(at)
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get log(): TaskLogger {
    this.#log ??= {
      debug: (message) => this.#write('debug', message),
      info: (message) => this.#write('info', message),
      warn: (message) => this.#write('warn', message),
      error: (message) => this.#write('error', message),
    }
    return this.#log
  }

  progress(done: number, total?: number, message?: string): void {
    if (this.#ended) return
    if (!Number.isFinite(done) || (total !== undefined && !Number.isFinite(total))) {
      throw new TypeError(`progress takes finite numbers, not ${done} of ${total}`)
    }
    const progress = {
      done,
      ...(total !== undefined && { total }),
      ...(message !== undefined && { message: String(message).slice(0, 1_000) }),
    }
    this.#progress = { type: 'progress', progress }
    if (this.#progressTimer === undefined) this.#tellProgress()
  }

  async checkpoint(): Promise<void> {
    this.noteCheckpoint()
    while (this.#resumed !== undefined && this.#reason === undefined) await this.#resumed.promise
    if (this.#reason !== undefined) throw this.#reason
  }

  userToken(url: string): string | undefined {
    return this.#options.userToken?.(url)
  }

  suspend(asking: Asking): Suspension {
    return new Suspension(asking)
  }

  /** Why the attempt was told to end, or undefined. */
  get reason(): StopReason | undefined {
    return this.#reason
  }

  get isEnded(): boolean {
    return this.#ended
  }

  get isPaused(): boolean {
    return this.#pausedAt !== undefined
  }

  /**
   * Whether the worker calls `checkpoint`, and so can be paused without a `signal` of its own: resolves as
   * soon as it has, or after `withinMs`, since an attempt that has just begun may not have come to its first.
   */
  async usesCheckpoints(withinMs: number): Promise<boolean> {
    if (this.#usesCheckpoints || this.#ended) return this.#usesCheckpoints
    this.#checkpointed ??= Promise.withResolvers<boolean>()
    const late = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => late.resolve(false), withinMs)
    const comes = await Promise.race([this.#checkpointed.promise, late.promise])
    clearTimeout(timer)
    return comes
  }

  /** Says that checkpoints are called where this context cannot see it: in a worker thread. */
  noteCheckpoint(): void {
    if (this.#usesCheckpoints) return
    this.#usesCheckpoints = true
    this.#checkpointed?.resolve(true)
    this.#host.onCheckpoint?.()
  }

  /** Takes over what another context of the same attempt reports: one in a worker thread. */
  relay(report: Report): void {
    if (!this.#ended) this.#host.report(report)
  }

  /** Calls back whenever the attempt is paused, resumed or aborted. One listener at a time. */
  onSteer(listener: (() => void) | undefined): void {
    this.#onSteer = listener
  }

  /** Tells the worker to end. The first reason stands. */
  abort(reason: StopReason): void {
    if (this.#reason !== undefined || this.#ended) return
    this.#reason = reason
    this.#limit?.clear()
    this.#controller?.abort(reason)
    this.#resumed?.resolve()
    this.#onSteer?.()
    this.#host.onAbort?.()
  }

  /** Checkpoints wait from now on, and the timeout stands still. */
  pause(): void {
    if (this.#pausedAt !== undefined || this.#ended) return
    this.#pausedAt = Date.now()
    this.#resumed = Promise.withResolvers()
    this.#arm()
    this.#onSteer?.()
  }

  resume(): void {
    if (this.#pausedAt === undefined) return
    this.#timeoutAt += Date.now() - this.#pausedAt
    this.#pausedAt = undefined
    this.#resumed?.resolve()
    this.#resumed = undefined
    this.#arm()
    this.#onSteer?.()
  }

  /** Lets go of every timer; the last progress is told. */
  end(): void {
    this.#ended = true
    this.#checkpointed?.resolve(false)
    this.#limit?.clear()
    clearTimeout(this.#progressTimer)
    if (this.#progress !== undefined) this.#host.report(this.#progress)
    this.#progress = undefined
  }

  #arm(): void {
    if (this.#reason !== undefined || this.#ended) return
    const at = Math.min(this.isPaused ? Number.POSITIVE_INFINITY : this.#timeoutAt, this.#deadline)
    if (at === Number.POSITIVE_INFINITY) return this.#limit?.clear()
    this.#limit ??= new Alarm(() => this.#timeUp())
    this.#limit.set(at)
  }

  #timeUp(): void {
    const isDeadline = Date.now() >= this.#deadline
    this.abort(
      isDeadline
        ? new TaskTimedOut('deadline-exceeded', "The task's deadline passed while it ran.")
        : new TaskTimedOut(
            'timeout',
            `The attempt took longer than its timeout of ${this.#options.timeout} ms.`,
          ),
    )
  }

  #tellProgress(): void {
    if (this.#progress === undefined) {
      this.#progressTimer = undefined
      return
    }
    this.#host.report(this.#progress)
    this.#progress = undefined
    this.#progressTimer = setTimeout(() => this.#tellProgress(), PROGRESS_EVERY_MS)
  }

  #write(level: LogLevel, message: string): void {
    if (!this.#ended) this.#host.report({ type: 'log', level, message: String(message) })
  }
}
