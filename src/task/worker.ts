import type { Static, TSchema } from 'typebox'
import type { Egress } from './egress.ts'
import type { Action } from './lifecycle.ts'
import type { Asking, Suspension } from './suspension.ts'
import type { RetryPolicy } from './task.ts'

/**
 * A named performer of tasks, as its author writes it.
 *
 * `signal` names two things, as in the systems this follows: {@link Worker.signal} is told of an action on
 * a running task and says whether the worker takes it; {@link TaskContext.signal} is the AbortSignal of one
 * attempt, named as `fetch` names it.
 */
export interface Worker<I extends TSchema = TSchema, O extends TSchema = TSchema> {
  /** Lower-case letters, digits and dashes, from a letter on; unique in the process. */
  name: string
  details: {
    /** What the worker does, for people. */
    description: string
    /** JSON Schema (2020-12) of the input; left out, the worker takes none. */
    input?: I
    /** JSON Schema of the output; left out, any. */
    output?: O
    /** An input that works, shown in the documentation. */
    example?: Static<I>
  }
  /** Tasks performed at once by one process; the rest queue. 10 unless told otherwise. */
  maxNumTasks?: number
  /** Milliseconds that one attempt may take. No limit unless told otherwise. */
  timeout?: number
  /** Whether a failed attempt is made again. It is not, unless told otherwise. */
  retry?: Partial<RetryPolicy>
  /** `thread`: performed in a worker thread, which is ended when it ignores its cancel or timeout. */
  isolate?: 'thread'
  /**
   * Performs one attempt. It may return the output or a promise of it, and throw {@link TaskError} or
   * anything else to fail.
   */
  perform(
    input: Static<I>,
    task: TaskContext,
  ): Static<O> | Suspension | Promise<Static<O> | Suspension>
  /**
   * The output that an answer makes of a task which `perform` has suspended. The first answer wins; throw
   * {@link TaskError} to refuse one that is none, and the task goes on waiting.
   */
  respond?(answer: unknown, input: Static<I>): Static<O> | Promise<Static<O>>
  /**
   * Told of an action on a running task; returns whether the worker takes it. A worker without it takes a
   * cancel, takes pause and resume where the attempt calls {@link TaskContext.checkpoint}, and takes no
   * restart.
   */
  signal?(action: Action, task: TaskContext): boolean | Promise<boolean>
  /** Asked at each submit; a disabled worker refuses tasks. */
  status?(): 'enabled' | 'disabled'
}

/** What `perform` sees of its task. Valid until `perform` has settled. */
export interface TaskContext {
  /** The task's id: the same for every attempt, so it serves as an idempotency key downstream. */
  readonly id: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /** When the attempt will be aborted, by its timeout or the task's deadline. */
  readonly deadline: Date | undefined
  /** The folder that file access keeps within, absolute. */
  readonly filesRoot: string
  /** Asked before a connection is opened: where tasks may connect to is the operator's to say. */
  readonly egress: Egress
  /**
   * A token to call Errand's own API with as whoever submitted the task, for five minutes: sent as
   * `Authorization: Bearer`. Undefined for every other address, where no key is needed, and in a worker thread.
   */
  userToken(url: string): string | undefined
  /**
   * Aborted when the attempt must end; `signal.reason` is a {@link StopReason} that says why. Made on first
   * touch: most tasks never look, and an AbortController is not free.
   */
  readonly signal: AbortSignal
  /** Tells how far the attempt has come. Cheap: as often as you like. */
  progress(done: number, total?: number, message?: string): void
  /** Lines kept on the task and streamed to whoever watches it. */
  readonly log: TaskLogger
  /**
   * Resolves at once, or once the task is no longer paused; rejects with the {@link StopReason} when the
   * attempt was aborted. Call it between the steps of long work.
   */
  checkpoint(): Promise<void>
  /**
   * What to return from `perform` where the task has to wait for a person: `return task.suspend({ request:
   * 'May I?' })`. It holds no slot meanwhile. Needs a worker with `respond`, and one that is not isolated.
   */
  suspend(asking: Asking): Suspension
}

export interface TaskLogger {
  debug(message: string): void
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

/** Why an attempt is aborted: its `signal.reason`. */
export class StopReason extends Error {}

/** Somebody canceled the task. */
export class TaskCanceled extends StopReason {
  override readonly name = 'TaskCanceled'
  constructor() {
    super('The task was canceled')
  }
}

/** The attempt took longer than its timeout, or the task's deadline has passed. */
export class TaskTimedOut extends StopReason {
  override readonly name = 'TaskTimedOut'
  readonly code: 'timeout' | 'deadline-exceeded'
  constructor(code: 'timeout' | 'deadline-exceeded', message: string) {
    super(message)
    this.code = code
  }
}

/** The server stops, and its grace is over. */
export class ServerStopping extends StopReason {
  override readonly name = 'ServerStopping'
  constructor() {
    super('The server stopped before the task had finished')
  }
}

/** Thrown by a worker to fail its task with a code of its own. */
export class TaskError extends Error {
  override readonly name = 'TaskError'
  /** Stable, lower-case and dashed. */
  readonly code: string
  /** Whether another attempt could succeed; the retry policy makes none where it is false. */
  readonly retryable: boolean
  /** What there is to show in spite of it, kept as the output of the failed task. */
  readonly output: unknown

  constructor(
    code: string,
    message: string,
    options: { retryable?: boolean; output?: unknown; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? true
    this.output = options.output
  }
}

/**
 * Returns the definition as it is; its use is that TypeScript infers the types of `perform` from the
 * schemas. Faults are reported when a server loads it, with the name of the file.
 */
export function defineWorker<const I extends TSchema, const O extends TSchema>(
  worker: Worker<I, O>,
): Worker<I, O> {
  return worker
}

/** A worker of any input and output, as a server holds it. */
// biome-ignore lint/suspicious/noExplicitAny: `perform` takes what its own schema has checked, which no one type can say for all workers
export type AnyWorker = Worker<any, any>
