import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Engine } from '../src/engine/engine.ts'
import { ErrandError } from '../src/task/errors.ts'
import { responses } from './openapi.ts'

const Health = Type.Object({
  status: Type.String(),
  version: Type.String(),
  uptimeMs: Type.Integer(),
})

/** The probes: `/healthz`, that the process answers; `/readyz`, that it takes tasks. They need no key. */
export function healthRoutes(app: FastifyInstance, engine: Engine, version: string): void {
  const health = () => ({ status: 'ok', version, uptimeMs: Math.round(performance.now()) })
  const config = { public: true }
  app.get(
    '/healthz',
    {
      config,
      schema: {
        tags: ['Operations'],
        operationId: 'getHealth',
        summary: 'Whether the server answers',
        security: [],
        response: responses({ 200: Health }),
      },
    },
    async () => health(),
  )
  app.get(
    '/readyz',
    {
      config,
      schema: {
        tags: ['Operations'],
        operationId: 'getReadiness',
        summary: 'Whether the server takes tasks',
        security: [],
        response: responses({ 200: Health }),
      },
    },
    async () => {
      if (engine.isStopping)
        throw new ErrandError('stopping', 'The server is stopping.', { retryAfter: 5 })
      return health()
    },
  )
}
