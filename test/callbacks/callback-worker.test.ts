import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { isTerminal } from '../../src/task/lifecycle.ts'
import type { Task } from '../../src/task/task.ts'
import { until } from '../until.ts'
import { settled, startApp } from '../workers/perform.ts'

const newSecret = () => `whsec_${randomBytes(24).toString('base64')}`

interface Received {
  headers: { [name: string]: string }
  body: string
}

/** A server that takes callbacks, and answers the first ones with these statuses and the rest with 204. */
async function receiver(t: Test, ...statuses: number[]) {
  const received: Received[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ headers: request.headers as Received['headers'], body })
    response.writeHead(statuses.shift() ?? 204, { location: '/elsewhere' }).end('thanks')
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return { received, url: `http://127.0.0.1:${port}/hook?x=1`, server }
}

const echo = {
  name: 'echo',
  details: { description: 'Gives its input back', input: {} },
  retry: { retries: 0 },
  perform(input: { fail?: boolean }) {
    if (input.fail === true) throw new Error('told to fail')
    return input
  },
}

async function start(t: Test, secrets: string[], options = {}) {
  return startApp(t, { builtins: false, workers: [echo], callbackSecrets: secrets, ...options })
}

type App = Awaited<ReturnType<typeof start>>

/** The task that delivers another, once it has settled. */
async function deliveryOf(app: App, parent: string): Promise<Task> {
  const [delivery] = await until(async () => {
    const { tasks } = await app.errand.list({ parent, limit: 10 })
    return tasks.length > 0 && tasks
  })
  return settled(app, String(delivery?.id))
}

t.test('a finished task is posted to its callback, signed, by a task of its own', async (t) => {
  const secret = newSecret()
  const { received, url } = await receiver(t)
  const app = await start(t, [secret])
  for (const [payload, type] of [
    [{ a: 1 }, 'task.completed'],
    [{ fail: true }, 'task.failed'],
  ] as const) {
    const response = await app.inject({
      method: 'POST',
      url: `/workers/echo?callback=${encodeURIComponent(`${url}#part`)}`,
      payload,
    })
    const { id } = response.json<{ id: string }>()
    const delivery = await deliveryOf(app, id)
    t.match(delivery, { worker: 'callback', status: 'completed', output: { statusCode: 204 } })
    const { headers, body } = received.shift() ?? { headers: {}, body: '' }
    t.match(headers, { 'content-type': 'application/json', 'webhook-id': `task_${id}` })
    const { data, ...event } = new Webhook(secret).verify(body, headers) as {
      data: object
      type: string
      timestamp: string
    }
    t.match(event, { type, timestamp: /^\d{4}-.*Z$/ })
    t.same(data, (await app.inject(`/tasks/${id}/result`)).json(), 'as its result is shown')
    t.match((await app.inject(`/tasks/${id}`)).json(), { callback: url })
    const again = await app.errand.act(delivery.id, 'restart')
    await settled(app, again.id)
    t.equal(
      received.shift()?.headers['webhook-id'],
      `task_${id}`,
      'repeated, it is the same message',
    )
  }
})

t.test('with several secrets a receiver may know any of them', async (t) => {
  const secrets = [newSecret(), newSecret()]
  const { received, url } = await receiver(t)
  const app = await start(t, secrets)
  const { task } = await app.errand.submit('echo', {}, { callback: url })
  await deliveryOf(app, task.id)
  for (const secret of secrets)
    t.ok(new Webhook(secret).verify(received[0]?.body ?? '', received[0]?.headers ?? {}))
  t.throws(() =>
    new Webhook(newSecret()).verify(received[0]?.body ?? '', received[0]?.headers ?? {}),
  )
})

t.test(
  'a delivery is made again until it is taken, and not where nobody listens any more',
  async (t) => {
    const { received, url } = await receiver(t, 500, 302, 429)
    const app = await start(t, [newSecret()])
    const wait = app.errand.submit('echo', {}, { callback: url })
    const { task } = await wait
    const [delivery] = await until(async () => {
      const { tasks } = await app.errand.list({ parent: task.id, limit: 1 })
      return tasks[0]?.error !== undefined && tasks
    })
    t.match(delivery, {
      status: 'queued',
      error: { code: 'callback-refused', message: /500/ },
      runAt: Number,
    })
    t.equal(received.length, 1)
    const gone = await receiver(t, 410)
    const { task: other } = await app.errand.submit('echo', {}, { callback: gone.url })
    t.match(await deliveryOf(app, other.id), {
      status: 'failed',
      attempt: 1,
      error: { code: 'callback-gone', retryable: false },
      output: { statusCode: 410 },
    })
  },
)

t.test('a receiver that is not there, and one that tasks may not connect to', async (t) => {
  const { server, url } = await receiver(t)
  server.close()
  await once(server, 'close')
  const app = await start(t, [newSecret()])
  const errorOf = async (callback: string) => {
    const { task } = await app.errand.submit('echo', {}, { callback })
    return until(async () => (await app.errand.list({ parent: task.id, limit: 1 })).tasks[0]?.error)
  }
  t.match(await errorOf(url), { code: 'connection-refused', retryable: true })
  for (const callback of [
    'http://169.254.169.254/',
    'http://[::ffff:169.254.169.254]/x',
    'http://2852039166/',
  ])
    t.match(await errorOf(callback), { code: 'egress-denied', retryable: false }, callback)
})

t.test('a canceled task is delivered, one in a batch by its own delivery', async (t) => {
  const { received, url } = await receiver(t)
  const app = await start(t, [newSecret()])
  const { task } = await app.errand.submit(
    'echo',
    {},
    { callback: url, runAt: Date.now() + 60_000 },
  )
  await app.errand.act(task.id, 'cancel')
  await deliveryOf(app, task.id)
  t.match(JSON.parse(received.shift()?.body ?? ''), {
    type: 'task.canceled',
    data: { id: task.id },
  })
  const batch = await app.errand.submitAll('echo', [1, 2, 3], { callback: url })
  for (const { task: one } of batch) await deliveryOf(app, one.id)
  t.same(received.map(({ body }) => JSON.parse(body).data.output).sort(), [1, 2, 3])
})

t.test('a bad callback is refused, and so is any without a secret to sign it', async (t) => {
  const app = await start(t, [newSecret()])
  const post = (callback: unknown) =>
    app.inject({ method: 'POST', url: '/tasks', payload: { worker: 'echo', input: {}, callback } })
  for (const bad of [
    '',
    'nowhere',
    'ftp://x/',
    'http://',
    'http://user:pass@x/',
    'javascript:1',
    5,
    `http://x/${'a'.repeat(2_050)}`,
  ])
    t.match((await post(bad)).json(), { status: 400, code: 'invalid-request' }, String(bad))
  const without = await start(t, [])
  await t.rejects(without.errand.submit('echo', {}, { callback: 'http://x/' }), {
    code: 'callbacks-disabled',
    message: /ERRAND_CALLBACK_SECRET/,
  })
  t.equal((await without.errand.list({ limit: 1 })).tasks.length, 0)
})

t.test('nobody but Errand submits a delivery', async (t) => {
  const app = await start(t, [newSecret()])
  const input = {
    url: 'http://127.0.0.1:1/',
    messageId: 'm',
    payload: { type: 't', timestamp: 't', data: 1 },
  }
  for (const request of [
    { url: '/workers/callback', payload: input },
    { url: '/workers/callback?wait=1', payload: input },
    { url: '/workers/callback/batch', payload: [input] },
    { url: '/tasks', payload: { worker: 'callback', input } },
  ]) {
    const response = await app.inject({ method: 'POST', ...request })
    t.match(response.json(), { status: 403, code: 'internal-worker' }, request.url)
  }
  t.notMatch((await app.inject('/openapi.json')).json().paths, { '/workers/callback': {} })
  t.match((await app.inject('/workers/callback')).json(), { name: 'callback' })
})

t.test('a thousand callbacks leave no connection and no task behind', async (t) => {
  const { received, url, server } = await receiver(t)
  let open = 0
  server.on('connection', (socket) => {
    open++
    socket.on('close', () => open--)
  })
  const app = await start(t, [newSecret()])
  await app.errand.submitAll('echo', Array(1_000).fill({}), { callback: url })
  await until(async () => received.length === 1_000, 60_000)
  await until(async () => {
    const { tasks } = await app.errand.list({ worker: 'callback', limit: 500 })
    return tasks.every(({ status }) => isTerminal(status))
  })
  await until(() => open === 0)
  t.equal(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 1_000)
})
