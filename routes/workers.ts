import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Engine, WorkerState } from '../src/engine/engine.ts'
import type { RegisteredWorker } from '../src/engine/registry.ts'
import type { SubmitOptions } from '../src/engine/submission.ts'
import { ErrandError } from '../src/task/errors.ts'
import { isTerminal } from '../src/task/lifecycle.ts'
import type { Task } from '../src/task/task.ts'
import { clientGone } from './client-gone.ts'
import { checkedByEngine } from './compilers.ts'
import { responses } from './openapi.ts'
import {
  NameParams,
  NoQuery,
  SubmitBody,
  SubmitHeaders,
  SubmitQuery,
  WaitQuery,
} from './schemas.ts'
import { optionsFromBody, optionsFromRequest } from './submit-options.ts'
import { toSettled, toSummary } from './task-json.ts'
import { applied, locate, parseWait } from './wait.ts'

const MAX_BATCH = 1_000

const WorkerList = Type.Object({ workers: Type.Array(Type.Ref('Worker#')) })
const TaskList = Type.Object({ tasks: Type.Array(Type.Ref('TaskSummary#')) })
const WorkerPatch = Type.Object(
  {
    status: Type.Optional(
      Type.Unsafe<'enabled' | 'disabled'>({ type: 'string', enum: ['enabled', 'disabled'] }),
    ),
    maxNumTasks: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  },
  { additionalProperties: false, minProperties: 1 },
)

/** `/workers`, and the submits: by worker, in a batch, and with everything in one body. */
export function workerRoutes(
  app: FastifyInstance,
  engine: Engine,
  workers: readonly RegisteredWorker[],
): void {
  listRoutes(app, engine)
  for (const worker of workers) if (!worker.isInternal) submitRoutes(app, engine, worker)
  submitAnyRoute(app, engine)
}

function listRoutes(app: FastifyInstance, engine: Engine): void {
  app.get(
    '/workers',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'listWorkers',
        summary: 'List the workers',
        querystring: NoQuery,
        response: responses({ 200: WorkerList }),
      },
    },
    async () => ({ workers: (await engine.workers()).map(toWorker) }),
  )
  app.get<{ Params: Static<typeof NameParams> }>(
    '/workers/:name',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'getWorker',
        summary: 'Read one worker',
        params: NameParams,
        querystring: NoQuery,
        response: responses({ 200: Type.Ref('Worker#') }),
      },
    },
    async (request) => toWorker(await engine.worker(request.params.name)),
  )
  app.patch<{ Params: Static<typeof NameParams>; Body: Static<typeof WorkerPatch> }>(
    '/workers/:name',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'configureWorker',
        summary: 'Enable or disable a worker, or change how many tasks it performs at once',
        description:
          'While a worker is disabled it refuses submits, and what is queued stays queued.',
        params: NameParams,
        querystring: NoQuery,
        body: WorkerPatch,
        response: responses({ 200: Type.Ref('Worker#') }),
      },
    },
    async (request) => {
      const { status, maxNumTasks } = request.body
      const state = await engine.configure(request.params.name, {
        ...(status !== undefined && { enabled: status === 'enabled' }),
        ...(maxNumTasks !== undefined && { maxNumTasks }),
      })
      return toWorker(state)
    },
  )
}

function submitRoutes(app: FastifyInstance, engine: Engine, worker: RegisteredWorker): void {
  const { name } = worker
  const example = worker.example === undefined ? {} : { examples: [worker.example] }
  const body = { ...worker.input, ...example }
  app.post(
    `/workers/${name}`,
    {
      config: { output: worker.output, isBodyOptional: engine.takesNothing(name) },
      validatorCompiler: bodyByEngine(app),
      schema: {
        tags: ['Workers'],
        operationId: `submit-${name}`,
        summary: `Submit a task to ${name}`,
        description: worker.description,
        querystring: SubmitQuery,
        headers: SubmitHeaders,
        body,
        response: responses({ 200: Type.Ref('SettledTask#'), 202: Type.Ref('TaskSummary#') }),
      },
    },
    (request, reply) => {
      const options = optionsFromRequest(request)
      return submit(engine, { worker: name, input: request.body, options }, request, reply)
    },
  )
  app.post(
    `/workers/${name}/batch`,
    {
      validatorCompiler: bodyByEngine(app),
      schema: {
        tags: ['Workers'],
        operationId: `submit-${name}-batch`,
        summary: `Submit up to ${MAX_BATCH} tasks to ${name}`,
        description: 'All of the inputs are submitted or, where one is refused, none.',
        querystring: SubmitQuery,
        headers: SubmitHeaders,
        body: Type.Array(Type.Unsafe(body), { minItems: 1, maxItems: MAX_BATCH }),
        response: responses({ 202: TaskList }),
      },
    },
    (request, reply) => submitBatch(engine, name, request, reply),
  )
}

async function submitBatch(
  engine: Engine,
  worker: string,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  if (
    !Array.isArray(request.body) ||
    request.body.length === 0 ||
    request.body.length > MAX_BATCH
  ) {
    throw new ErrandError(
      'invalid-request',
      `The body of a batch is a list of 1 to ${MAX_BATCH} inputs.`,
    )
  }
  if (parseWait(request) !== undefined) {
    throw new ErrandError('invalid-wait', 'A batch does not wait: ask for its tasks by their ids.')
  }
  const inserted = await engine.submitAll(worker, request.body, optionsFromRequest(request))
  if (inserted[0]?.replayed === true) reply.header('idempotent-replayed', 'true')
  return reply.code(202).send({ tasks: inserted.map(({ task }) => toSummary(task)) })
}

/** Submits by a name in the path that no worker had at the start, and by a name in the body. */
function submitAnyRoute(app: FastifyInstance, engine: Engine): void {
  app.post<{ Params: Static<typeof NameParams> }>(
    '/workers/:name',
    { schema: { hide: true, params: NameParams, querystring: SubmitQuery } },
    (request, reply) => {
      const options = optionsFromRequest(request)
      const { name } = request.params
      return submit(engine, { worker: name, input: request.body, options }, request, reply)
    },
  )
  app.post<{ Params: Static<typeof NameParams> }>(
    '/workers/:name/batch',
    { schema: { hide: true, params: NameParams, querystring: SubmitQuery } },
    (request, reply) => submitBatch(engine, request.params.name, request, reply),
  )
  app.post<{ Body: Static<typeof SubmitBody> }>(
    '/tasks',
    {
      schema: {
        tags: ['Tasks'],
        operationId: 'submitTask',
        summary: 'Submit a task, with its worker and options in one body',
        querystring: WaitQuery,
        headers: SubmitHeaders,
        body: SubmitBody,
        response: responses({ 200: Type.Ref('SettledTask#'), 202: Type.Ref('TaskSummary#') }),
      },
    },
    async (request, reply) => {
      const { worker, input } = request.body
      const options = optionsFromBody(request, request.body)
      return submit(engine, { worker, input, options }, request, reply)
    },
  )
}

/** Submits, and answers at once or as late as the client asks. */
async function submit(
  engine: Engine,
  { worker, input, options }: { worker: string; input: unknown; options: SubmitOptions },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<object> {
  const waitMs = parseWait(request)
  const { task, replayed } = await (waitMs === undefined || waitMs === 0
    ? engine.submit(worker, input, options)
    : engine.submitAndWait(worker, input, options, waitMs, clientGone(request)))
  if (waitMs !== undefined) applied(reply, waitMs)
  if (replayed) reply.header('idempotent-replayed', 'true')
  return render(task, reply)
}

/** 200 with the output or the error of a task that has settled, 202 and where to ask for one that has not. */
function render(task: Task, reply: FastifyReply): object {
  if (isTerminal(task.status)) return toSettled(task)
  locate(reply, task.id)
  reply.code(202)
  return toSummary(task)
}

/** As the instance checks, but for the body. */
function bodyByEngine(app: FastifyInstance): typeof checkedByEngine {
  return (route) => {
    const check = route.httpPart === 'body' ? checkedByEngine : app.validatorCompiler
    if (check === undefined) throw new Error('the validator compiler is set before the routes are')
    return check(route)
  }
}

function toWorker({ worker, status, counts }: WorkerState) {
  const { retries } = worker.retry
  return {
    name: worker.name,
    description: worker.description,
    status,
    maxNumTasks: worker.maxNumTasks,
    counts,
    input: worker.input,
    output: worker.output,
    example: worker.example,
    timeoutMs: worker.timeout,
    retry: retries === 0 ? undefined : worker.retry,
    isolate: worker.definition.isolate,
  }
}
