import { Type } from 'typebox'
import { STATUSES } from '../src/task/lifecycle.ts'
import { ANSWER_TYPES, PRIORITIES } from '../src/task/task.ts'

/** A date-time of RFC 3339 with milliseconds, in UTC. */
const Time = (description: string) => Type.String({ format: 'date-time', description })
const Any = Type.Unsafe<unknown>({})

export const Failure = Type.Object(
  {
    code: Type.String({ description: 'Stable: one of Errand’s or one that the worker chose' }),
    message: Type.String(),
    retryable: Type.Boolean({ description: 'Whether the same task could succeed another time' }),
  },
  { $id: 'Failure', description: 'Why a task failed or was canceled' },
)

export const Progress = Type.Object(
  {
    done: Type.Number(),
    total: Type.Optional(Type.Number()),
    message: Type.Optional(Type.String()),
  },
  { $id: 'Progress', description: 'How far the task has come, in units of the worker’s own' },
)

export const Question = Type.Object(
  {
    request: Type.String(),
    reference: Type.String({ description: 'The asker’s own' }),
    type: Type.Unsafe<string>({ type: 'string', enum: [...ANSWER_TYPES] }),
    expiresAt: Type.Optional(Time('When it is too late to answer')),
    answeredBy: Type.Optional(Type.String()),
    answeredAt: Type.Optional(Time('When it was answered')),
  },
  { $id: 'Question', description: 'What the task waits to have answered, or was' },
)

export const Status = Type.Unsafe<(typeof STATUSES)[number]>({
  type: 'string',
  enum: [...STATUSES],
})

const summary = {
  id: Type.String(),
  worker: Type.String(),
  status: Status,
  attempt: Type.Integer({ description: 'Attempts begun: 0 until the first' }),
  priority: Type.Integer(),
  tags: Type.Optional(Type.Array(Type.String())),
  parent: Type.Optional(Type.String({ description: 'The task that started this one' })),
  restartOf: Type.Optional(Type.String({ description: 'The task that this one repeats' })),
  progress: Type.Optional(Type.Ref('Progress#')),
  question: Type.Optional(Type.Ref('Question#')),
  notice: Type.Optional(Type.String({ description: 'What an operator should know about it now' })),
  createdAt: Time('When it was submitted'),
  runAt: Type.Optional(Time('The earliest time of its next attempt')),
  startedAt: Type.Optional(Time('When its latest attempt began')),
  finishedAt: Type.Optional(Time('When it settled')),
  durationMs: Type.Optional(
    Type.Integer({ description: 'From the start of its latest attempt to its end' }),
  ),
}

export const TaskSummary = Type.Object(summary, {
  $id: 'TaskSummary',
  description: 'A task without its input and output',
})

const error = Type.Optional(Type.Ref('Failure#'))

export const SettledTask = Type.Object(
  { ...summary, output: Type.Optional(Any), error },
  { $id: 'SettledTask', description: 'A task that has settled, with its output or its error' },
)

const retry = Type.Object(
  {
    retries: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_000, description: 'Attempts after the first' }),
    ),
    delayMs: Type.Optional(Type.Number({ minimum: 0, maximum: 2_147_483_647 })),
    factor: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    maxDelayMs: Type.Optional(Type.Number({ minimum: 0, maximum: 2_147_483_647 })),
    jitter: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  },
  { additionalProperties: false },
)

export const Task = Type.Object(
  {
    ...summary,
    input: Any,
    output: Type.Optional(Any),
    error,
    timeoutMs: Type.Optional(Type.Integer({ description: 'What one attempt may take' })),
    deadline: Type.Optional(Time('When it must have ended')),
    retry: Type.Optional(retry),
    callback: Type.Optional(Type.String({ description: 'Where it is posted once it has settled' })),
  },
  { $id: 'Task', description: 'One piece of work given to a worker' },
)

export const LogLine = Type.Object(
  {
    index: Type.Integer({
      description: 'Counts from 0 within the task; a gap at the start: older lines were dropped',
    }),
    at: Time('When it was logged'),
    level: Type.Unsafe<string>({ type: 'string', enum: ['debug', 'info', 'warn', 'error'] }),
    message: Type.String(),
  },
  { $id: 'LogLine' },
)

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A URN of the code' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable: what a program should look at' }),
    detail: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'JSON Pointer (RFC 6901) to the member at fault' }),
          message: Type.String(),
        }),
      ),
    ),
  },
  { $id: 'Problem', description: 'An error, as RFC 9457 has it' },
)

export const Worker = Type.Object(
  {
    name: Type.String(),
    description: Type.String(),
    status: Type.Unsafe<string>({ type: 'string', enum: ['enabled', 'disabled'] }),
    maxNumTasks: Type.Integer({ description: 'Tasks performed at once by this process' }),
    counts: Type.Record(Type.String(), Type.Integer(), { description: 'Tasks by status' }),
    input: Any,
    output: Any,
    example: Type.Optional(Any),
    timeoutMs: Type.Optional(Type.Integer()),
    retry: Type.Optional(retry),
    isolate: Type.Optional(Type.String()),
  },
  { $id: 'Worker', description: 'A named performer of tasks; input and output are JSON Schemas' },
)

/** Every schema that others refer to, by its `$id`. */
export const SHARED = [
  Failure,
  Progress,
  Question,
  TaskSummary,
  SettledTask,
  Task,
  LogLine,
  Problem,
  Worker,
]

export const IdParams = Type.Object({ id: Type.String({ description: 'The task’s id' }) })
export const NameParams = Type.Object({ name: Type.String({ description: 'The worker’s name' }) })
export const RespondBody = Type.Object(
  {
    response: Type.Unsafe<unknown>({ description: 'The answer, of the type that is asked for' }),
    by: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Who answers, for the record' }),
    ),
  },
  { additionalProperties: false },
)
/** The query of a route that takes none: a misspelt option is refused everywhere. */
export const NoQuery = Type.Object({}, { additionalProperties: false })

const Duration = (description: string) =>
  Type.String({
    description: `${description}: milliseconds, or a number with ms, s, m, h or d, such as 90s`,
  })

export const WaitQuery = Type.Object(
  {
    wait: Type.Optional(
      Type.String({
        description:
          'Seconds, at most 60, to hold the answer until the task settles; as Prefer: wait=',
      }),
    ),
  },
  { additionalProperties: false },
)

const submitQuery = {
  priority: Type.Optional(
    Type.Integer({
      minimum: PRIORITIES.lowest,
      maximum: PRIORITIES.highest,
      description: `9 is taken from the queue first, 0 last; ${PRIORITIES.normal} unless told otherwise`,
    }),
  ),
  delay: Type.Optional(Duration('How long to wait before it may start')),
  runAt: Type.Optional(Time('The earliest start, instead of delay')),
  timeout: Type.Optional(Duration('What one attempt may take')),
  deadline: Type.Optional(Time('When it must have ended, queueing and retries included')),
  retry: Type.Optional(
    Type.String({
      description:
        'Attempts after the first, or the whole policy as JSON: {"retries":3,"delayMs":100}',
    }),
  ),
  tags: Type.Optional(Type.String({ description: 'Separated by commas' })),
  callback: Type.Optional(
    Type.String({
      maxLength: 2_048,
      description: 'A URL to which the task is posted once it has settled, signed',
    }),
  ),
  onLimit: Type.Optional(
    Type.Unsafe<'queue' | 'reject'>({
      type: 'string',
      enum: ['queue', 'reject'],
      description: 'reject: answer 429 rather than queue the task',
    }),
  ),
}

/** The options of a submit as they travel in the query of a request whose body is the input. */
export const SubmitQuery = Type.Object(
  { ...WaitQuery.properties, ...submitQuery },
  { additionalProperties: false },
)

export const SubmitHeaders = Type.Object({
  prefer: Type.Optional(Type.String({ description: 'wait=SECONDS (RFC 7240), at most 60' })),
  'idempotency-key': Type.Optional(
    Type.String({
      description: 'Of this worker’s tasks, only the first with a key is made; 1 to 255 characters',
    }),
  ),
})

const durationField = Type.Unsafe<number | string>({
  anyOf: [{ type: 'integer', minimum: 0 }, { type: 'string' }],
  description: 'Milliseconds, or a number with ms, s, m, h or d, such as "90s"',
})

/** A submit with everything in one body. */
export const SubmitBody = Type.Object(
  {
    worker: Type.String(),
    input: Type.Optional(Any),
    priority: submitQuery.priority,
    delay: Type.Optional(durationField),
    runAt: submitQuery.runAt,
    timeout: Type.Optional(durationField),
    deadline: submitQuery.deadline,
    retry: Type.Optional(
      Type.Unsafe<number | { retries?: number }>({
        anyOf: [{ type: 'integer', minimum: 0, maximum: 1_000 }, retry],
      }),
    ),
    tags: Type.Optional(Type.Array(Type.String())),
    callback: submitQuery.callback,
    onLimit: submitQuery.onLimit,
    idempotencyKey: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  },
  { additionalProperties: false },
)
