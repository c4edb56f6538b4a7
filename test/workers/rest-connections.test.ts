import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { until } from '../until.ts'
import { perform, settled, startApp, submit } from './perform.ts'
import { call, failed } from './rest/call.ts'
import { closedPort, type Respond, startService, startTcp } from './rest/service.ts'

const CLOSED_WITHIN_MS = 100
const TRIES = 3

/** How long after its cancel the service sees a call's connection closed; the best of some tries. */
async function cancelMs(
  t: Test,
  app: FastifyInstance,
  url: string,
  sockets: Set<Socket>,
): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < TRIES && best > CLOSED_WITHIN_MS; i++) {
    const id = await submit(app, 'rest', { url })
    const [socket] = await until(() => sockets.size > 0 && [...sockets])
    const closed = new Promise<number>((resolve) =>
      socket?.once('close', () => resolve(performance.now())),
    )
    const began = performance.now()
    await app.errand.act(id, 'cancel')
    best = Math.min(best, (await closed) - began)
    t.match(await settled(app, id), { status: 'canceled' })
  }
  return best
}

t.test('a cancel closes the connection, whatever is waited for', async (t) => {
  const app = await startApp(t)
  const silent = await startService(t, (request, response) => {
    if (request.path === '/body') response.write('begun')
  })
  for (const path of ['/headers', '/body']) {
    const took = await cancelMs(t, app, silent.url + path, silent.sockets)
    t.ok(took <= CLOSED_WITHIN_MS, `${path}: ${took.toFixed(1)} ms`)
  }
  const mute = await startTcp(t, (socket) => socket.resume().on('end', () => socket.end()))
  const took = await cancelMs(t, app, `https://${mute.address}/`, mute.sockets)
  t.ok(took <= CLOSED_WITHIN_MS, `in the handshake: ${took.toFixed(1)} ms`)
})

t.test('the timeout is of the whole exchange, and closes the connection', async (t) => {
  const app = await startApp(t)
  const { url, sockets } = await startService(t, (request, response) => {
    if (request.path === '/')
      setTimeout(() => response.writeHead(302, { location: '/2' }).end(), 50)
  })
  const began = performance.now()
  const task = await failed(t, app, { url, timeout: 400 }, 'timeout', true)
  t.ok(performance.now() - began >= 399)
  t.match(task.error?.message, /400 ms/)
  await until(() => sockets.size === 0)
})

t.test('connections that fail', async (t) => {
  const app = await startApp(t)
  const refused = `http://127.0.0.1:${await closedPort()}/`
  const task = await failed(t, app, { url: refused }, 'connection-refused', true)
  t.match(task.error?.message, `GET ${refused} failed`)
  await failed(t, app, { url: 'http://no-such-host.invalid/' }, 'unknown-host', true)
  const answers: { [what: string]: [bytes: string, code: string] } = {
    'closed without an answer': ['', 'connection-lost'],
    'closed amid the headers': ['HTTP/1.1 200 OK\r\nContent-Le', 'connection-lost'],
    'closed amid the body': ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', 'connection-lost'],
    'no HTTP': ['SSH-2.0-OpenSSH_9.9\r\n\r\n', 'invalid-response'],
    'headers too large': [
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`,
      'invalid-response',
    ],
  }
  for (const [what, [bytes, code]] of Object.entries(answers)) {
    // The service ends its half, and would go on listening.
    const { address, sockets } = await startTcp(t, (socket) => {
      socket.once('data', () => socket.end(bytes))
    })
    const { error } = await failed(t, app, { url: `http://${address}/` }, code, true)
    t.comment(`${what}: ${error?.message}`)
    for (const socket of sockets) socket.resume().on('end', () => socket.destroy())
    await until(() => sockets.size === 0)
  }
  const { address } = await startTcp(t, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'))
  })
  t.match(await call(t, app, { url: `http://${address}/` }), { text: 'until the end' })
})

t.test('a connection that was kept alive and is gone is not the end of a call', async (t) => {
  const app = await startApp(t)
  const used = new WeakSet<Socket>()
  const respond: Respond = (_request, response, socket) => {
    if (used.has(socket)) return void socket.destroy()
    used.add(socket)
    response.end('fresh')
  }
  const { url, received } = await startService(t, respond)
  await call(t, app, { url })
  t.match(await call(t, app, { url }), { text: 'fresh' })
  t.equal(received.length, 3)
  const other = await startService(t, respond)
  await call(t, app, { url: other.url })
  await failed(t, app, { url: other.url, method: 'post' }, 'connection-lost', true)
  t.equal(other.received.length, 2, 'a POST is not sent twice')
})

t.test('200 calls in flight at once', async (t) => {
  const app = await startApp(t)
  const waiting: (() => void)[] = []
  const { url } = await startService(t, (request, response) => {
    waiting.push(() => response.end(request.path))
    if (waiting.length === 200) for (const answer of waiting) answer()
  })
  const paths = Array.from({ length: 200 }, (_, i) => `/${i}`)
  const answers = await Promise.all(paths.map((path) => call(t, app, { url: url + path })))
  t.same(
    answers.map(({ text }) => text),
    paths,
  )
})

t.test('a thousand tasks leave nothing', async (t) => {
  const { url, sockets } = await startService(t, (request, response) => {
    if (request.path === '/hang') return
    response.statusCode = request.path === '/wrong' ? 500 : 200
    response.setHeader('set-cookie', 'a=1').end('ok')
  })
  const app = await startApp(t)
  const paths = ['/', '/wrong', '/', '/hang', '/']
  const tasks = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => {
      const path = paths[i % paths.length]
      return perform(app, 'rest', { url: url + path, ...(path === '/hang' && { timeout: 20 }) })
    }),
  )
  const counts = Object.groupBy(tasks, ({ status, error }) => error?.code ?? status)
  t.equal(counts.completed?.length, 600)
  t.equal(counts['unexpected-status']?.length, 200)
  t.equal(counts.timeout?.length, 200)
  await app.close()
  await until(() => sockets.size === 0, 30_000)
  await until(() => held().length === 0)
})

/** What keeps this process from its end, its pipes and the service of the test aside. */
function held(): string[] {
  const own = ['PipeWrap', 'TCPServerWrap', 'TTYWrap', 'FSReqCallback']
  return process.getActiveResourcesInfo().filter((resource) => !own.includes(resource))
}
