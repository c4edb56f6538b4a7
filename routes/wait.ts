import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Engine } from '../src/engine/engine.ts'
import { ErrandError } from '../src/task/errors.ts'
import type { Task } from '../src/task/task.ts'
import { clientGone } from './client-gone.ts'

const MAX_WAIT_S = 60
const SECONDS = /^\d{1,6}(\.\d{1,3})?$/
/** Of the preferences in `Prefer` (RFC 7240, section 2), the wait. */
const PREFERENCE = /(?:^|[,;])\s*wait\s*=\s*("?)([^",;]*)\1/i

/**
 * How long the client asks to have the answer held, in milliseconds, or undefined where it does not: by
 * `Prefer: wait=SECONDS` (RFC 7240, section 4.3) or `?wait=SECONDS`.
 *
 * @throws {@link ErrandError} `invalid-wait`
 */
export function parseWait(request: FastifyRequest): number | undefined {
  const inQuery = (request.query as { wait?: string }).wait
  const { prefer } = request.headers
  if (inQuery === undefined && prefer === undefined) return undefined
  const seconds = inQuery ?? PREFERENCE.exec(String(prefer))?.[2]?.trim()
  if (seconds === undefined) return undefined
  const wait = SECONDS.test(seconds) ? Number(seconds) : Number.NaN
  if (!(wait <= MAX_WAIT_S)) {
    throw new ErrandError(
      'invalid-wait',
      `A wait of ${JSON.stringify(seconds.slice(0, 40))} is not possible: it is a number of seconds from 0 to ${MAX_WAIT_S}.`,
    )
  }
  return wait * 1_000
}

/** Holds the answer until the task settles, and resolves with it as it then stands. */
export async function hold(
  engine: Engine,
  task: Task,
  waitMs: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Task> {
  applied(reply, waitMs)
  return waitMs === 0 ? task : engine.wait(task.id, waitMs, clientGone(request))
}

/** Says that the answer was held (RFC 7240, section 3). */
export function applied(reply: FastifyReply, waitMs: number): void {
  reply.header('preference-applied', `wait=${waitMs / 1_000}`)
}

/** Where the task can be asked for again, as `Location`. */
export function locate(reply: FastifyReply, id: string): void {
  reply.header('location', `${reply.server.prefix}/tasks/${id}`)
}
