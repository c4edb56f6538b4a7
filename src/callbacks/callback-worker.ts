import { isIP } from 'node:net'
import { type Static, Type } from 'typebox'
import type { Dispatcher } from 'undici'
import { connectionError } from '../task/connection-error.ts'
import { type AnyWorker, defineWorker, type TaskContext, TaskError } from '../task/worker.ts'

/** The name of the worker whose tasks are the deliveries. */
export const CALLBACK = 'callback'

const TIMEOUT_MS = 20_000
/** Of an answer, more than this is not read, in bytes: its status is what counts. */
const MAX_ANSWER = 65_536

const Delivery = Type.Object({
  url: Type.String({ description: 'Where it is delivered to' }),
  messageId: Type.String({ description: 'The same at each attempt and repetition: webhook-id' }),
  payload: Type.Object(
    { type: Type.String(), timestamp: Type.String(), data: Type.Unknown() },
    { description: 'What is delivered: the task, as GET /tasks/{id}/result shows it' },
  ),
})

/** What a delivery delivers. */
export type Delivery = Static<typeof Delivery>

/**
 * The worker that delivers callbacks, signed as Standard Webhooks 1.0 prescribes. Redirects are not followed.
 *
 * @param secrets `whsec_…` each; with several, a receiver may know any of them
 */
export function callbackWorker(secrets: readonly string[]): AnyWorker {
  return defineWorker({
    name: CALLBACK,
    details: {
      description:
        'Deliver a finished task to the URL that its submit named; Errand alone submits to it',
      input: Delivery,
      output: Type.Object({ statusCode: Type.Integer() }),
    },
    maxNumTasks: 20,
    timeout: TIMEOUT_MS,
    retry: { retries: 7, delayMs: 5_000, factor: 5, maxDelayMs: 18_000_000, jitter: 0.2 },
    async perform({ url, messageId, payload }, task) {
      const body = JSON.stringify(payload)
      const headers = await sign(secrets, messageId, body)
      return { statusCode: await post(url, headers, body, task) }
    },
  })
}

async function sign(secrets: readonly string[], id: string, body: string) {
  const { Webhook } = await import('standardwebhooks')
  const now = new Date()
  const signatures = secrets.map((secret) => new Webhook(secret).sign(id, now, body))
  return {
    'content-type': 'application/json',
    'user-agent': 'errand',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
    'webhook-signature': signatures.join(' '),
  }
}

async function post(
  url: string,
  headers: { [name: string]: string },
  body: string,
  task: TaskContext,
): Promise<number> {
  const attempted = `POST ${url}`
  const { Agent, request } = await import('undici')
  const host = new URL(url).hostname
  const dispatcher = new Agent({
    connect: { lookup: task.egress.lookup, timeout: TIMEOUT_MS },
    connections: 1,
  })
  try {
    // Node looks no address up.
    if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) await task.egress.resolve(host)
    const { signal } = task
    const answer = await request(url, { method: 'POST', headers, body, dispatcher, signal })
    await answer.body.dump({ limit: MAX_ANSWER, signal })
    return accepted(answer, attempted)
  } catch (error) {
    if (task.signal.aborted) throw task.signal.reason
    throw connectionError(error, attempted)
  } finally {
    await dispatcher.destroy()
  }
}

function accepted({ statusCode }: Dispatcher.ResponseData, attempted: string): number {
  if (statusCode >= 200 && statusCode < 300) return statusCode
  const isGone = statusCode === 410
  throw new TaskError(
    isGone ? 'callback-gone' : 'callback-refused',
    `${attempted} was answered ${statusCode}: ${isGone ? 'nobody listens there any more' : 'a delivery is taken with 2xx'}.`,
    { retryable: !isGone, output: { statusCode } },
  )
}
