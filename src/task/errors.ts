/**
 * Every error that Errand answers with: its stable code, the HTTP status it travels under, and a title that
 * never changes with the occurrence (RFC 9457, `title`).
 */
export const CATALOGUE = {
  'invalid-json': { status: 400, title: 'The body is not valid JSON' },
  'invalid-request': { status: 400, title: 'The request does not fit its schema' },
  'invalid-input': { status: 400, title: "The input does not fit the worker's schema" },
  'invalid-answer': { status: 400, title: 'The answer is not one to the question' },
  'invalid-cursor': { status: 400, title: 'The cursor is not one that a list gave' },
  'invalid-wait': { status: 400, title: 'The wait is not a number of seconds from 0 to 60' },
  unauthorized: { status: 401, title: 'The request carries no valid key' },
  'cross-site': { status: 403, title: 'A web page of another site may not do this' },
  'internal-worker': { status: 403, title: 'Errand alone submits to this worker' },
  'not-found': { status: 404, title: 'There is nothing at this address' },
  'unknown-worker': { status: 404, title: 'There is no worker of that name' },
  'unknown-task': { status: 404, title: 'There is no task with that id' },
  'method-not-allowed': { status: 405, title: 'This address does not take the method' },
  'action-not-allowed': { status: 409, title: 'The task is in no status for this action' },
  'action-refused': { status: 409, title: 'The worker does not take this action' },
  'callbacks-disabled': { status: 409, title: 'The server delivers no callbacks' },
  'worker-disabled': { status: 409, title: 'The worker is disabled' },
  'already-answered': { status: 409, title: 'The question was answered before' },
  'idempotency-expired': {
    status: 409,
    title: "Some of the idempotency key's tasks are gone",
  },
  'task-not-finished': { status: 409, title: 'The task has not finished' },
  'question-expired': { status: 410, title: 'The time to answer has passed' },
  'batch-too-large': { status: 413, title: "The batch is larger than the worker's queue" },
  'body-too-large': { status: 413, title: 'The body is larger than the server accepts' },
  'unsupported-media-type': { status: 415, title: 'The content type is not one the server reads' },
  'idempotency-mismatch': { status: 422, title: 'The idempotency key was used with another input' },
  'limit-reached': { status: 429, title: 'The worker has no free slot' },
  'queue-full': { status: 429, title: "The worker's queue is full" },
  'too-many-streams': { status: 429, title: 'The server holds as many streams as it may' },
  'internal-error': { status: 500, title: 'The server failed' },
  stopping: { status: 503, title: 'The server is stopping' },
  'invalid-worker': { status: 500, title: 'A worker is malformed' },
  'invalid-config': { status: 500, title: 'A setting is wrong' },
} as const satisfies Record<string, { status: number; title: string }>

export type ErrorCode = keyof typeof CATALOGUE

/** One member of a request or an input that was refused, by JSON Pointer (RFC 6901). */
export interface Fault {
  path: string
  message: string
}

/**
 * An error of the catalogue. `message` says what happened, to which thing, and what to do; doors render it in
 * their own terms.
 */
export class ErrandError extends Error {
  override readonly name = 'ErrandError'
  readonly code: ErrorCode
  /** The members at fault, where the error is about a request or an input. */
  readonly faults: readonly Fault[] | undefined
  /** Seconds after which the same request may succeed (RFC 9110, `Retry-After`). */
  readonly retryAfter: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { faults?: readonly Fault[]; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.faults = options.faults
    this.retryAfter = options.retryAfter
  }

  get status(): number {
    return CATALOGUE[this.code].status
  }

  get title(): string {
    return CATALOGUE[this.code].title
  }
}

export function unknownTask(id: string): ErrandError {
  return new ErrandError(
    'unknown-task',
    `There is no task ${JSON.stringify(id.slice(0, 64))}: it never was, was deleted, or its retention has passed.`,
  )
}
