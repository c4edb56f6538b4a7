import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { echo, listen, makeApp, type TaskJson } from '../app.ts'
import { until } from '../until.ts'

const CRLF = '\r\n'

interface Wire {
  socket: Socket
  /** All that was received. */
  text(): string
}

async function dial(t: Test, url: string): Promise<Wire> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return { socket, text: () => text }
}

function head(line: string, ...headers: string[]): string {
  return [line, ...headers, '', ''].join(CRLF)
}

t.test('what is no HTTP is answered with 4xx, and the server goes on', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const url = await listen(app)
  const json = 'Content-Type: application/json'
  for (const request of [
    'nonsense\r\n\r\n',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001',
    head('NONSENSE /workers HTTP/1.1', 'Host: localhost'),
    head('GET /workers HTTP/9.9', 'Host: localhost'),
    head('GET /workers HTTP/1.1', 'Connection: close'),
    head('GET /workers HTTP/1.1', 'Host: localhost', 'bad header'),
    head('GET /workers HTTP/1.1', 'Host: localhost', `X: ${'x'.repeat(20_000)}`),
    head(`GET /${'x'.repeat(20_000)} HTTP/1.1`, 'Host: localhost'),
    head('POST /workers/echo HTTP/1.1', 'Host: localhost', json, 'Content-Length: many'),
    head('POST /workers/echo HTTP/1.1', 'Host: localhost', json, 'Content-Length: -1'),
    head(
      'POST /workers/echo HTTP/1.1',
      'Host: localhost',
      json,
      'Content-Length: 5',
      'Transfer-Encoding: chunked',
    ),
    `${head('POST /workers/echo HTTP/1.1', 'Host: localhost', json, 'Transfer-Encoding: chunked')}zz${CRLF}`,
  ]) {
    t.comment(JSON.stringify(request.slice(0, 60)))
    const { socket, text } = await dial(t, url)
    const closed = once(socket, 'close')
    socket.write(request, 'latin1')
    await closed
    t.match(text(), /^HTTP\/1\.1 4\d\d /)
  }
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  t.strictSame((await app.inject('/tasks')).json(), { tasks: [] })
})

t.test('a connection is kept after a refused request, and serves the next', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { socket, text } = await dial(t, await listen(app))
  const post = (body: string) =>
    head(
      'POST /workers/echo HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    ) + body
  const lost = head('GET /nothing HTTP/1.1', 'Host: localhost')
  socket.write(post('{"text":1}') + lost + post('{"text":"a"}'))
  await until(() => text().includes('202 Accepted'))
  const codes = [...text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => code)
  t.strictSame(codes, ['400', '404', '202'])
  t.equal(socket.closed, false)
})

t.test('a client that hangs up in the middle of its body submits nothing', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const url = await listen(app)
  const { socket } = await dial(t, url)
  const headers = ['Host: localhost', 'Content-Type: application/json', 'Content-Length: 12']
  socket.write(`${head('POST /workers/echo HTTP/1.1', ...headers)}{"text":`)
  const connections = () =>
    new Promise<number>((resolve) => app.server.getConnections((_, count) => resolve(count)))
  await until(async () => (await connections()) === 1)
  socket.destroy()
  await until(async () => (await connections()) === 0)
  t.strictSame((await app.inject('/tasks')).json<{ tasks: TaskJson[] }>().tasks, [])
  t.equal((await fetch(`${url}/healthz`)).status, 200)
})
