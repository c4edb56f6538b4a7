import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Engine } from '../src/engine/engine.ts'
import { clientGone } from './client-gone.ts'
import { followLog, streamAll, streamTask } from './event-stream.ts'
import { responses, streams } from './openapi.ts'
import { IdParams, NoQuery } from './schemas.ts'
import { toLogLine } from './task-json.ts'

const LastEventId = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      description: 'The id of the last event received: what came since is sent first',
    }),
  ),
})
const LogQuery = Type.Object(
  {
    follow: Type.Optional(
      Type.Unsafe<string>({
        type: 'string',
        enum: ['', 'true', '1', 'false', '0'],
        description:
          'Send the lines as they come, one JSON document a line, until the task settles',
      }),
    ),
  },
  { additionalProperties: false },
)
const LogPage = Type.Object({ logs: Type.Array(Type.Ref('LogLine#')) })

/** A HEAD of a stream would open it, for nobody to read. */
const STREAM = { exposeHeadRoute: false }

const STREAM_TEXT =
  'Server-sent events: `status` when a task has a new status or notice, `progress`, and on a task’s own ' +
  'stream `log` with a line; each names the task and its worker. ' +
  '`reset` comes first where events since Last-Event-ID are lost: read the tasks anew.'

/** What is sent as it happens: `/events`, and the events and the log of one task. */
export function eventRoutes(app: FastifyInstance, engine: Engine): void {
  app.get(
    '/events',
    {
      ...STREAM,
      schema: {
        tags: ['Events'],
        operationId: 'streamEvents',
        summary: 'Watch every change of every task',
        description: STREAM_TEXT,
        querystring: NoQuery,
        headers: LastEventId,
        response: streams('text/event-stream', 'Events, until the server stops'),
      },
    },
    async (request, reply) =>
      sendEvents(reply, streamAll(engine, header(request.headers['last-event-id']))),
  )
  app.get<{ Params: Static<typeof IdParams> }>(
    '/tasks/:id/events',
    {
      ...STREAM,
      schema: {
        tags: ['Events'],
        operationId: 'streamTaskEvents',
        summary: 'Watch one task until it settles',
        description: `${STREAM_TEXT} The stream begins with the kept log lines and the present status, and ends with the task. 204 where the task has settled and nothing is left to send.`,
        params: IdParams,
        querystring: NoQuery,
        headers: LastEventId,
        response: streams('text/event-stream', 'Events, until the task settles'),
      },
    },
    async (request, reply) => {
      const stream = await streamTask(
        engine,
        request.params.id,
        header(request.headers['last-event-id']),
      )
      return stream === undefined ? reply.code(204).send() : sendEvents(reply, stream)
    },
  )
  app.get<{ Params: Static<typeof IdParams>; Querystring: Static<typeof LogQuery> }>(
    '/tasks/:id/logs',
    {
      ...STREAM,
      schema: {
        tags: ['Tasks'],
        operationId: 'getTaskLogs',
        summary: 'Read what the worker logged',
        description:
          'The latest lines, at most 1,000. With ?follow, application/x-ndjson until the task settles.',
        params: IdParams,
        querystring: LogQuery,
        response: responses({ 200: LogPage }),
      },
    },
    async (request, reply) => {
      const { follow } = request.query
      if (follow === undefined || follow === 'false' || follow === '0') {
        return { logs: (await engine.logs(request.params.id)).map(toLogLine) }
      }
      const stream = await followLog(engine, request.params.id)
      return sendNow(reply.type('application/x-ndjson').header('cache-control', 'no-store'), stream)
    },
  )
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function sendEvents(reply: FastifyReply, stream: Readable): FastifyReply {
  reply
    .header('content-type', 'text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
  return sendNow(reply, stream)
}

/** Sends the head at once: the first line may be long in coming, and the reader must know that it is heard. */
function sendNow(reply: FastifyReply, stream: Readable): FastifyReply {
  const gone = clientGone(reply.request)
  if (gone.aborted) {
    // It closed before the stream was there, and tells nobody again.
    stream.destroy()
    reply.raw.destroy()
    return reply.hijack()
  }
  const onGone = () => stream.destroy()
  gone.addEventListener('abort', onGone)
  stream.once('close', () => gone.removeEventListener('abort', onGone))
  reply.send(stream)
  reply.raw.flushHeaders()
  return reply
}
