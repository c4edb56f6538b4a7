import type { Json } from './json.ts'
import type { Status } from './lifecycle.ts'

/** Why a task failed or was canceled. */
export interface Failure {
  /** Stable: one of Errand's (`worker-error`, `timeout`, …) or one the worker chose. */
  code: string
  message: string
  /** Whether the same task could succeed another time. */
  retryable: boolean
}

/** How far a running task has come, in units of the worker's own. */
export interface Progress {
  done: number
  total?: number
  message?: string
}

/** How often and how soon a failed attempt is made again. All waits are in milliseconds. */
export interface RetryPolicy {
  /** Attempts after the first. */
  retries: number
  /** The wait before the first retry. */
  delayMs: number
  /** What each further wait is multiplied by. */
  factor: number
  /** No wait is longer than this. */
  maxDelayMs: number
  /** The share of each wait that is drawn at random, 0 to 1: 1 spreads it over the whole wait. */
  jitter: number
}

/** What a submitter may ask for beyond the input, and what a restart asks for again. */
export interface TaskOptions {
  /** Milliseconds that one attempt may take. */
  timeout?: number
  /** When the task must have ended, in epoch milliseconds: queueing and retries included. */
  deadline?: number
  retry?: Partial<RetryPolicy>
  /** Where the task is posted once it has settled: a URL. */
  callback?: string
}

/** 9 is taken from the queue first, 0 last, as in JMS and AMQP. */
export const PRIORITIES = { lowest: 0, normal: 4, highest: 9 } as const

/**
 * One piece of work given to a worker. Times are epoch milliseconds.
 *
 * A task that a store returns may be its live record: read it at once, never write to it.
 */
export interface Task {
  readonly id: string
  readonly worker: string
  readonly status: Status
  readonly input: Json
  /** Present once completed, and on a failed task whose worker had something to show. */
  readonly output?: Json | undefined
  /** Present once failed or canceled, and between the attempts of a task that is retried. */
  readonly error?: Failure | undefined
  readonly progress?: Progress | undefined
  /** Attempts begun: 0 until the first. */
  readonly attempt: number
  readonly priority: number
  readonly tags?: readonly string[] | undefined
  /** The id of the task that started this one. */
  readonly parent?: string | undefined
  /** The id of the task that this one repeats. */
  readonly restartOf?: string | undefined
  readonly options?: TaskOptions | undefined
  /** What it waits to have answered, or was. */
  readonly question?: Question | undefined
  /** What an operator should know about it now: that its worker does not let go, for one. */
  readonly notice?: string | undefined
  readonly createdAt: number
  /** The earliest time of the next attempt: scheduled tasks, and queued ones between two attempts. */
  readonly runAt?: number | undefined
  readonly startedAt?: number | undefined
  readonly finishedAt?: number | undefined
}

/** What a task is from its first moment to its last. */
export type TaskIdentity = Pick<
  Task,
  'id' | 'worker' | 'priority' | 'tags' | 'parent' | 'restartOf' | 'createdAt'
>

/** A task before a store has it. */
export interface NewTask {
  id: string
  worker: string
  input: Json
  priority: number
  tags?: readonly string[] | undefined
  parent?: string | undefined
  restartOf?: string | undefined
  options?: TaskOptions | undefined
  /** In the future: the task is scheduled. */
  runAt?: number | undefined
  /** Of its worker's tasks, only the first with a key is inserted. */
  idempotencyKey?: string | undefined
  /** How many tasks came under one key of their submitter: a list of another length is another list. */
  batchSize?: number | undefined
}

/** What the answer to a question must be. */
export const ANSWER_TYPES = ['text', 'number', 'boolean', 'json'] as const

/** What a person is asked, and once it was answered, who did and when. Times are epoch milliseconds. */
export interface Question {
  /** In words. */
  readonly request: string
  /** The asker's own, given back with the answer. */
  readonly reference: string
  readonly type: (typeof ANSWER_TYPES)[number]
  /** When it is too late to answer. */
  readonly expiresAt?: number | undefined
  readonly answeredBy?: string | undefined
  readonly answeredAt?: number | undefined
}

/** What one attempt yielded. */
export type Outcome =
  | { status: 'completed'; output: Json }
  /** With `retryInMs` the task goes back to its queue, to be attempted again no sooner than that. */
  | { status: 'failed'; error: Failure; output?: Json | undefined; retryInMs?: number }
  | { status: 'canceled'; error: Failure }
  /** The task waits for an answer and holds no slot; where none comes in time, it fails with `expired`. */
  | { status: 'suspended'; question: Question; expired: Failure }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A line that a worker logged while it performed a task. */
export interface LogEntry {
  /** Counts from 0 within the task, so that a reader knows what it has and what was dropped. */
  index: number
  at: number
  level: LogLevel
  message: string
}
