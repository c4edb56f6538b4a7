import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import type { Engine } from '../../src/engine/engine.ts'
import type { Schema } from '../../src/engine/worker-definition.ts'
import type { Json } from '../../src/task/json.ts'
import type { Status } from '../../src/task/lifecycle.ts'
import type { Task } from '../../src/task/task.ts'
import { refuseUnknown } from '../not-found.ts'
import { setErrorHeaders, toErrandError } from '../problem.ts'
import { IdParams, NameParams } from '../schemas.ts'
import { durationOf } from '../task-json.ts'

/** What each status is called in Go-Tasky, which knows no more than these. */
const STATUSES: { readonly [status in Status]: string } = {
  scheduled: 'Started',
  queued: 'Started',
  running: 'Running',
  waiting: 'Running',
  paused: 'Running',
  canceling: 'Running',
  completed: 'Completed',
  failed: 'Failed',
  canceled: 'Canceled',
}

/** Tasks in one list: Go-Tasky has no pages, and a client that reads this one expects none. */
const MAX_LISTED = 500

type Id = { Params: Static<typeof IdParams> }

/**
 * The wire format of Go-Tasky, over the same engine and ids: each path with and without a trailing slash.
 * Register it under `/tasky/v1`; `docs` is the path of the documentation.
 */
export async function taskyRoutes(
  app: FastifyInstance,
  { engine, docs }: { engine: Engine; docs: string },
): Promise<void> {
  app.setErrorHandler((error: Error, request, reply) => {
    const known = toErrandError(error, request)
    setErrorHeaders(known, reply)
    return reply
      .code(known.status)
      .type('application/json')
      .send(JSON.stringify({ Error: known.message }))
  })
  await refuseUnknown(app, docs)
  for (const slash of ['', '/']) {
    workerRoutes(app, engine, slash)
    taskRoutes(app, engine, slash)
  }
}

function workerRoutes(app: FastifyInstance, engine: Engine, slash: string): void {
  app.get(
    `/workers${slash}`,
    { schema: doc(slash, 'listTaskyWorkers', 'List the workers') },
    async () =>
      (await engine.workers()).map(({ worker }) =>
        toWorker(worker.name, worker.description, worker.input),
      ),
  )
  app.post<{ Params: Static<typeof NameParams> }>(
    `/workers/:name${slash}`,
    {
      schema: {
        ...doc(slash, 'submitTaskyTask', 'Submit a task; the body is its input'),
        params: NameParams,
        body: {},
      },
    },
    async (request) => {
      const { task } = await engine.submit(request.params.name.toLowerCase(), request.body)
      return { TaskId: task.id }
    },
  )
}

function taskRoutes(app: FastifyInstance, engine: Engine, slash: string): void {
  app.get(
    `/tasks${slash}`,
    { schema: doc(slash, 'listTaskyTasks', `List the newest ${MAX_LISTED} tasks, oldest first`) },
    async () => {
      const { tasks } = await engine.list({ limit: MAX_LISTED })
      return { Tasks: tasks.map(toStatus).reverse() }
    },
  )
  app.get<Id>(
    `/tasks/:id/status${slash}`,
    { schema: { ...doc(slash, 'getTaskyStatus', 'Read the status of a task'), params: IdParams } },
    async (request) => toStatus(await engine.get(request.params.id)),
  )
  app.get<Id>(
    `/tasks/:id/result${slash}`,
    { schema: { ...doc(slash, 'getTaskyResult', 'Read the output of a task'), params: IdParams } },
    async (request, reply) => {
      const task = await engine.get(request.params.id)
      if (task.status === 'completed')
        return { Output: toOutput(task.output ?? null), TaskId: task.id }
      if (task.error !== undefined && (task.status === 'failed' || task.status === 'canceled')) {
        return { Error: task.error.message, TaskId: task.id }
      }
      return reply.send('')
    },
  )
  app.post<Id>(
    `/tasks/:id/cancel${slash}`,
    { schema: { ...doc(slash, 'cancelTaskyTask', 'Cancel a task'), params: IdParams } },
    async (request, reply) => {
      await engine.act(request.params.id, 'cancel')
      return reply.send('')
    },
  )
}

/** Each operation is documented once, in the form without the slash. */
function doc(slash: string, operationId: string, summary: string): object {
  const response = { 200: { description: 'As Go-Tasky answers' } }
  return slash === '' ? { tags: ['Go-Tasky'], operationId, summary, response } : { hide: true }
}

function toWorker(name: string, description: string, input: Schema) {
  const config = emptyMembers(input)
  return { name, description, ...(config !== undefined && { config_objects: config }) }
}

function toStatus(task: Task) {
  const durationMs = durationOf(task)
  return {
    ...(durationMs !== undefined && { Duration: toGoDuration(durationMs) }),
    Status: STATUSES[task.status],
    TaskId: task.id,
  }
}

function toOutput(output: Json): Json {
  const isObject = typeof output === 'object' && output !== null && !Array.isArray(output)
  if (isObject) return output
  return { string_output: typeof output === 'string' ? output : JSON.stringify(output) }
}

/** An empty value of its type for each member of an input, or undefined where it has none. */
function emptyMembers(input: Schema): { [member: string]: Json } | undefined {
  const properties = Object.entries((input.properties ?? {}) as { [member: string]: Schema })
  if (properties.length === 0) return undefined
  return Object.fromEntries(properties.map(([member, schema]) => [member, emptyValue(schema)]))
}

function emptyValue(schema: Schema): Json {
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  if (type === 'integer' || type === 'number') return 0
  if (type === 'boolean') return false
  if (type === 'array') return []
  if (type === 'object') return emptyMembers(schema) ?? {}
  return type === 'string' ? '' : null
}

/** As Go's `time.Duration` prints itself: `0s`, `15ms`, `1.5s`, `1m0.002s`, `2h45m0s`. */
export function toGoDuration(ms: number): string {
  if (ms === 0) return '0s'
  if (ms < 1_000) return `${ms}ms`
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor(ms / 60_000) % 60
  const seconds = `${(ms % 60_000) / 1_000}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}
