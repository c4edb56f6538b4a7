import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Task } from '../../src/task/task.ts'
import { until } from '../until.ts'
import { perform, settled, startApp, submit } from './perform.ts'
import { processes, Sshd } from './ssh/sshd.ts'

/** A script that ends only when it is killed, with children in groups of their own, which says what it is. */
const ENDLESS = [
  'sleep 600 & timeout 600 sleep 600 &',
  'bash -c \'trap "" TERM HUP; while :; do sleep 0.1; done\' &',
  'echo "$$ $0"',
  'while :; do sleep 1; done',
].join('\n')

const server = await Sshd.start(t)
if (server === undefined) process.exit()
const sshd: Sshd = server
const app = await startApp(t)

interface Running {
  id: string
  session: number
  path: string
}

function sockets(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /TCP/.test(name))
}

/** Submits {@link ENDLESS}, and resolves once it runs. */
async function startEndless(more: object = {}, script = ENDLESS): Promise<Running> {
  const id = await submit(app, 'ssh', sshd.input(script, more))
  const line = await until(async () => (await app.errand.logs(id))[0]?.message)
  const [session = '', path = ''] = line.split(' ')
  await until(() => processes().filter((one) => one.session === Number(session)).length >= 6)
  return { id, session: Number(session), path }
}

/** Holds that nothing of a script is left, on the other side, within so many milliseconds. */
async function isGone(t: Test, { session, path }: Running, withinMs: number): Promise<void> {
  const began = performance.now()
  await until(() => processes().every((one) => one.session !== session))
  const ms = Math.round(performance.now() - began)
  t.ok(ms < withinMs, `the session was gone after ${ms} ms`)
  t.notOk(existsSync(path), 'and so is its file')
}

/** A server of a protocol of its own; resolves with its port. */
async function listen(t: Test, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return (listener.address() as AddressInfo).port
}

t.test('a cancel closes the connection at once, and ends the script and all of it', async (t) => {
  const before = sockets().length
  const running = await startEndless()
  t.ok(existsSync(running.path))
  t.equal(sockets().length, before + 1)
  t.equal(sshd.connections().length, 1)
  const began = performance.now()
  await app.errand.act(running.id, 'cancel')
  t.match(await settled(app, running.id), { status: 'canceled', error: { code: 'canceled' } })
  await until(() => sshd.connections().length === 0)
  const ms = Math.round(performance.now() - began)
  t.ok(ms < 100, `sshd saw the connection close after ${ms} ms`)
  await until(() => sockets().length === before)
  await isGone(t, running, 4_000)
})

t.test('its own timeout ends it, and keeps what it wrote', async (t) => {
  const task = await perform(app, 'ssh', sshd.input('echo "$$ $0"; sleep 600', { timeout: 1_000 }))
  t.match(task, { status: 'failed', error: { code: 'timeout', retryable: true } })
  const { report } = task.output as unknown as { report: string }
  const [session = '', path = ''] = report.trim().split(' ')
  await isGone(t, { id: task.id, session: Number(session), path }, 4_000)
})

t.test('so does a timeout of the task', async (t) => {
  const { task } = await app.errand.submit('ssh', sshd.input(ENDLESS), { timeout: 1_500 })
  t.match(await settled(app, task.id), { status: 'failed', error: { code: 'timeout' } })
  const [line] = await app.errand.logs(task.id)
  const [session = '', path = ''] = line?.message.split(' ') ?? []
  await isGone(t, { id: task.id, session: Number(session), path }, 4_000)
})

t.test('a script may clean up when it is told to end', async (t) => {
  // There is nobody to read its output any more, and bash says of what was ended that it was.
  const script = `trap '' PIPE; trap 'rm -f "$0.kept"; exit' TERM; touch "$0.kept"\n${ENDLESS}`
  const running = await startEndless({}, script)
  t.ok(existsSync(`${running.path}.kept`))
  await app.errand.act(running.id, 'cancel')
  await isGone(t, running, 4_000)
  t.notOk(existsSync(`${running.path}.kept`), 'its trap was run')
})

t.test('a connection that is lost is an error, and ends the script', async (t) => {
  const running = await startEndless()
  for (const pid of sshd.connections()) process.kill(pid, 'SIGKILL')
  const task = await settled(app, running.id)
  t.match(task, { status: 'failed', error: { code: 'connection-lost', retryable: true } })
  t.match(task.output, { report: /^\d+ / }, 'with what it wrote so far')
  await isGone(t, running, 4_000)
})

t.test('a server that says nothing, not even goodbye', async (t) => {
  const port = await listen(t, () => {})
  const began = performance.now()
  const input = sshd.input('true', { port, connect_timeout: 300 })
  const task = await perform(app, 'ssh', input)
  t.match(task.error, { code: 'connection-timeout', retryable: true })
  t.ok(performance.now() - began < 5_000)
  const before = sockets().length
  const id = await submit(app, 'ssh', sshd.input('true', { port }))
  await until(() => sockets().length > before)
  await app.errand.act(id, 'cancel')
  t.match(await settled(app, id), { status: 'canceled' })
})

t.test('a server that greets and then says nothing', async (t) => {
  const port = await listen(t, (socket) => socket.write('SSH-2.0-Silent\r\n'))
  const task = await perform(app, 'ssh', sshd.input('true', { port, connect_timeout: 300 }))
  t.match(task.error, { code: 'connection-timeout', message: /the SSH handshake/ })
})

t.test('servers that close', async (t) => {
  const closers: ((socket: Socket) => void)[] = [
    (socket) => socket.end(),
    (socket) => socket.destroy(),
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.end('Exceeded MaxStartups\r\n'),
    (socket) => socket.end('SSH-2.0-Closing\r\n'),
  ]
  for (const closer of closers) {
    const port = await listen(t, closer)
    const task = await perform(app, 'ssh', sshd.input('true', { port }))
    t.match(task.error, { code: 'connection-lost', retryable: true }, `${task.error?.message}`)
  }
})

t.test('what is no SSH server', async (t) => {
  const port = await listen(t, (socket) => socket.end('SSH-1.5-Old\r\n'))
  const task = await perform(app, 'ssh', sshd.input('true', { port }))
  t.match(task.error, { code: 'ssh-failed', retryable: false }, `${task.error?.message}`)
})

t.test('nothing listens, no such host, and not allowed', async (t) => {
  const port = await listen(t, () => {})
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port: free } = closed.address() as AddressInfo
  closed.close()
  const code = async (more: object): Promise<string | undefined> =>
    (await perform(app, 'ssh', sshd.input('true', more))).error?.code
  t.equal(await code({ port: free }), 'connection-refused')
  t.equal(await code({ hostname: 'nowhere.invalid' }), 'unknown-host')
  t.equal(await code({ hostname: '169.254.169.254', port }), 'egress-denied')
})

t.test('nothing of the host is asked before it is allowed', async (t) => {
  let connections = 0
  const port = await listen(t, () => connections++)
  const strict = await startApp(t, { egress: 'deny:loopback' })
  for (const hostname of ['127.0.0.1', 'localhost', '[::1]']) {
    const task: Task = await perform(strict, 'ssh', sshd.input('true', { hostname, port }))
    t.match(task.error, { code: 'egress-denied' })
  }
  t.equal(connections, 0)
})

t.test('a name of several addresses of which one answers', async (t) => {
  const task = await perform(app, 'ssh', sshd.input('echo in', { hostname: 'localhost' }))
  t.match(task.output, { report: 'in\n' })
})

t.test('a network that goes silent', async (t) => {
  const { runScript, TIMING } = await import('../../workers/ssh/run-script.ts')
  const pairs: [Socket, Socket][] = []
  const port = await listen(t, (socket) => {
    const onward = connect(sshd.port, '127.0.0.1').on('error', () => {})
    pairs.push([socket, onward])
    socket.pipe(onward).pipe(socket)
  })
  t.teardown(() => pairs.flat().map((socket) => socket.destroy()))
  const { promise: began, resolve } = Promise.withResolvers<string>()
  const log = { debug() {}, info: resolve, warn() {}, error() {} }
  const egress = { resolve: async () => [{ address: '127.0.0.1', family: 4 }], lookup() {} }
  const timing = { ...TIMING, keepaliveMs: 200, leaseSeconds: 2 }
  const input = { ...sshd.input(ENDLESS, { port }), connect_timeout: 10_000, timeout: 60_000 }
  const ended = t.rejects(
    runScript(input, { log, egress, signal: AbortSignal.timeout(60_000) }, timing),
    { code: 'connection-lost', message: /no longer answers/ },
  )
  const [session = '', path = ''] = (await began).split(' ')
  for (const [socket, onward] of pairs) {
    socket.unpipe(onward)
    onward.unpipe(socket)
    socket.pause()
    onward.pause()
  }
  await ended
  // sshd still holds the connection: it is the missing newlines that tell the other side.
  t.equal(sshd.connections().length, 1)
  await isGone(t, { id: '', session: Number(session), path }, 8_000)
})
