import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, type TSchema, Type } from 'typebox'
import type { Engine } from '../src/engine/engine.ts'
import { ErrandError } from '../src/task/errors.ts'
import { ACTIONS, type Action, isTerminal, STATUSES, type Status } from '../src/task/lifecycle.ts'
import type { TaskQuery } from '../src/task/store.ts'
import type { Task } from '../src/task/task.ts'
import { responses } from './openapi.ts'
import { IdParams, NoQuery, RespondBody, WaitQuery } from './schemas.ts'
import { toSettled, toSummary, toTask } from './task-json.ts'
import { hold, locate, parseWait } from './wait.ts'

type Id = { Params: Static<typeof IdParams> }

const ListQuery = Type.Object(
  {
    status: Type.Optional(
      Type.String({ description: `One or more, separated by commas: ${STATUSES.join(', ')}` }),
    ),
    worker: Type.Optional(Type.String()),
    tag: Type.Optional(Type.String()),
    parent: Type.Optional(Type.String()),
    since: Type.Optional(
      Type.String({ format: 'date-time', description: 'Submitted at or after' }),
    ),
    until: Type.Optional(Type.String({ format: 'date-time', description: 'Submitted before' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
    cursor: Type.Optional(Type.String({ description: 'nextCursor of the page before' })),
  },
  { additionalProperties: false },
)

const TaskPage = Type.Object({
  tasks: Type.Array(Type.Ref('TaskSummary#')),
  nextCursor: Type.Optional(Type.String({ description: 'Absent on the last page' })),
})

const ACTION_TEXT: { readonly [action in Action]: string } = {
  cancel: 'Cancel a task: a queued one at once, a running one as soon as its worker lets go',
  pause: 'Pause a running task, where its worker can',
  resume: 'Resume a paused task',
  restart: 'Submit a finished task again, or restart a running one where its worker can',
}

/** `/tasks`: the list, one task in its three forms, the actions, and forgetting. */
export function taskRoutes(app: FastifyInstance, engine: Engine): void {
  listRoute(app, engine)
  readRoute(app, engine, '', 'getTask', 'Read a task', 'Task#', (task) =>
    toTask(task, engine.shownInput(task)),
  )
  readRoute(
    app,
    engine,
    '/status',
    'getTaskStatus',
    'Read a task without its input and output',
    'TaskSummary#',
    toSummary,
  )
  resultRoute(app, engine)
  for (const action of ACTIONS) actionRoute(app, engine, action)
  respondRoute(app, engine)
  app.delete<Id>(
    '/tasks/:id',
    {
      schema: {
        tags: ['Tasks'],
        operationId: 'deleteTask',
        summary: 'Forget a finished task',
        params: IdParams,
        querystring: NoQuery,
        response: responses({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      await engine.remove(request.params.id)
      return reply.code(204).send()
    },
  )
}

function listRoute(app: FastifyInstance, engine: Engine): void {
  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/tasks',
    {
      schema: {
        tags: ['Tasks'],
        operationId: 'listTasks',
        summary: 'List tasks, newest first',
        querystring: ListQuery,
        response: responses({ 200: TaskPage }),
      },
    },
    async (request) => {
      const { tasks, nextCursor } = await engine.list(toQuery(request.query))
      return { tasks: tasks.map(toSummary), nextCursor }
    },
  )
}

function readRoute(
  app: FastifyInstance,
  engine: Engine,
  path: '' | '/status',
  operationId: string,
  summary: string,
  ref: string,
  render: (task: Task) => object,
): void {
  const body: TSchema = Type.Ref(ref)
  app.get<Id>(
    `/tasks/:id${path}`,
    {
      schema: {
        tags: ['Tasks'],
        operationId,
        summary,
        params: IdParams,
        querystring: WaitQuery,
        response: responses({ 200: body, 202: body }),
      },
    },
    async (request, reply) => {
      const { task, isLate } = await readHeld(engine, request, reply)
      if (isLate) return reply.code(202).send(render(task))
      return reply.send(render(task))
    },
  )
}

function resultRoute(app: FastifyInstance, engine: Engine): void {
  app.get<Id>(
    '/tasks/:id/result',
    {
      schema: {
        tags: ['Tasks'],
        operationId: 'getTaskResult',
        summary: 'Read the output or the error of a task',
        description: '200 once the task has settled; until then 202 and its status.',
        params: IdParams,
        querystring: WaitQuery,
        response: responses({ 200: Type.Ref('SettledTask#'), 202: Type.Ref('TaskSummary#') }),
      },
    },
    async (request, reply) => {
      const { task } = await readHeld(engine, request, reply)
      if (isTerminal(task.status)) return reply.send(toSettled(task))
      locate(reply, task.id)
      return reply.code(202).send(toSummary(task))
    },
  )
}

function actionRoute(app: FastifyInstance, engine: Engine, action: Action): void {
  app.post<Id>(
    `/tasks/:id/${action}`,
    {
      schema: {
        tags: ['Tasks'],
        operationId: `${action}Task`,
        summary: ACTION_TEXT[action],
        params: IdParams,
        querystring: WaitQuery,
        response: responses({ 200: Type.Ref('SettledTask#'), 202: Type.Ref('TaskSummary#') }),
      },
    },
    async (request, reply) => {
      const waitMs = parseWait(request)
      const acted = await engine.act(request.params.id, action)
      const task = waitMs === undefined ? acted : await hold(engine, acted, waitMs, request, reply)
      if (isTerminal(task.status)) return reply.send(toSettled(task))
      locate(reply, task.id)
      return reply.code(202).send(toSummary(task))
    },
  )
}

function respondRoute(app: FastifyInstance, engine: Engine): void {
  app.post<Id & { Body: Static<typeof RespondBody> }>(
    '/tasks/:id/respond',
    {
      schema: {
        tags: ['Tasks'],
        operationId: 'respondTask',
        summary: 'Answer a task that waits for a person',
        description:
          'The first answer wins. GET /tasks?status=waiting lists what is asked. ' +
          '409 once it was answered, 410 once its time has passed.',
        params: IdParams,
        querystring: NoQuery,
        body: RespondBody,
        response: responses({ 200: Type.Ref('SettledTask#') }),
      },
    },
    async (request, reply) => {
      const { response, by = `somebody at ${request.ip}` } = request.body
      return reply.send(toSettled(await engine.respond(request.params.id, response, by)))
    },
  )
}

/** The task of the path, held as the client asks; `isLate` where the hold ended before the task settled. */
async function readHeld(engine: Engine, request: FastifyRequest<Id>, reply: FastifyReply) {
  const waitMs = parseWait(request)
  const task = await engine.get(request.params.id)
  if (waitMs === undefined) return { task, isLate: false }
  const held = await hold(engine, task, waitMs, request, reply)
  const isLate = !isTerminal(held.status)
  if (isLate) locate(reply, held.id)
  return { task: held, isLate }
}

function toQuery(query: Static<typeof ListQuery>): TaskQuery {
  const { worker, tag, parent, cursor } = query
  return {
    limit: query.limit ?? 50,
    ...(query.status !== undefined && { statuses: query.status.split(',').map(toStatus) }),
    ...(query.since !== undefined && { since: toMs('since', query.since) }),
    ...(query.until !== undefined && { until: toMs('until', query.until) }),
    ...(worker !== undefined && { worker }),
    ...(tag !== undefined && { tag }),
    ...(parent !== undefined && { parent }),
    ...(cursor !== undefined && { cursor }),
  }
}

/** A time that has the form of one may still be none, as that of a leap second is to JavaScript. */
function toMs(name: string, text: string): number {
  const ms = Date.parse(text)
  if (!Number.isNaN(ms)) return ms
  const message = 'is no time'
  throw new ErrandError('invalid-request', `The ${name} of the list ${message}.`, {
    faults: [{ path: `/${name}`, message }],
  })
}

function toStatus(text: string): Status {
  const status = STATUSES.find((known) => known === text.trim())
  if (status !== undefined) return status
  const message = `must be among ${STATUSES.join(', ')}`
  throw new ErrandError(
    'invalid-request',
    `The status ${JSON.stringify(text.slice(0, 40))} ${message}.`,
    {
      faults: [{ path: '/status', message }],
    },
  )
}
