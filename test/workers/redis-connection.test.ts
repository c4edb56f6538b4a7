import t from 'tap'
import { until } from '../until.ts'
import { inStatus, perform, settled, startApp, submit } from './perform.ts'
import { makeCertificates } from './redis/certificates.ts'
import { freePort, othersOf, startImpostor, startProxy, startRedis } from './redis/server.ts'

const HOST = '127.0.0.1'
const GONE_WITHIN_MS = 100
const ping = (port: number, more: object = {}) => ({ host: HOST, port, command: 'ping', ...more })
const pong = { status: 'completed', output: { result: 'PONG' } }
const failure = (code: string, retryable: boolean) => ({
  status: 'failed',
  error: { code, retryable },
})

t.test('a password, and a user of the ACL', async (t) => {
  const server = await startRedis(t, {
    settings: ['--requirepass', 's3cret'],
    password: 's3cret',
  })
  if (server === undefined) return
  const { port, client } = server
  await client.call('ACL', 'SETUSER', 'reader', 'on', '>p4ss', '~*', '+get', '+select')
  const app = await startApp(t)
  const run = (more: object) => perform(app, 'redis', ping(port, more))
  t.match(await run({ password: 's3cret' }), pong)
  t.match(await run({ username: 'default', password: 's3cret' }), pong)
  const reader = { username: 'reader', password: 'p4ss' }
  t.match(await run({ ...reader, command: 'get', args: ['k'], db: 1 }), { status: 'completed' })
  const refused = failure('login-refused', false)
  for (const login of [
    {},
    { password: 'wr0ng' },
    { username: 'reader', password: 'wr0ng' },
    { username: 'reader' },
    { username: 'nobody', password: 's3cret' },
  ]) {
    const task = await run(login)
    t.match(task, refused, JSON.stringify(login))
    t.notMatch(task.error?.message, /s3cret|p4ss|wr0ng/)
  }
  t.match(await run({ ...reader, command: 'set', args: ['k', 'v'] }), {
    error: { code: 'permission-denied', retryable: false },
  })
})

t.test('a login that is refused has no command performed as somebody else', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const app = await startApp(t)
  const run = (more: object) =>
    perform(app, 'redis', { ...ping(server.port), command: 'incr', args: ['n'], ...more })
  t.match(await run({ password: 'not needed' }), failure('login-refused', false))
  t.match(await run({ username: 'x', password: 'y' }), failure('login-refused', false))
  t.match(await run({ db: 1_000 }), failure('redis-error', false))
  t.equal(await server.client.get('n'), null)
})

t.test('TLS, with a certificate that is trusted and no other', async (t) => {
  const tls = makeCertificates(t)
  if (tls === undefined) return
  const { ca, cert, key, settings } = tls
  const server = await startRedis(t, { settings, tls })
  if (server === undefined) return
  const app = await startApp(t)
  const run = (more: object) => perform(app, 'redis', ping(server.port, more))
  const own = { cert, key }
  t.match(await run({ host: 'localhost', tls: { ca, ...own } }), pong, 'by its name')
  t.match(await run({ tls: { ca, ...own } }), pong, 'by its address')
  t.match(await run({ tls: { ca, ...own, servername: 'localhost' } }), pong, 'by the name given')
  const distrusted = failure('bad-certificate', false)
  t.match(await run({ tls: true }), distrusted, 'an authority that nobody knows')
  t.match(await run({ tls: { ca, ...own, servername: 'other.example' } }), distrusted)
  t.match(await run({ tls: { ca } }), failure('tls-failed', false), 'no certificate of its own')
  t.match(await run({ tls: { ca: 'no PEM', cert: 'none', key: 's3cret' } }), {
    error: { code: 'invalid-tls', message: /^(?!.*s3cret)/ },
  })
  const untold = await run({ tls: false })
  t.match(untold.error?.code, /^(?:connection-lost|invalid-reply)$/, 'none where it is needed')
  const plain = await startRedis(t)
  if (plain === undefined) return
  const other = await perform(app, 'redis', ping(plain.port, { tls: { ca }, timeout: 200 }))
  t.match(
    other,
    failure('connection-timeout', true),
    'Redis waits for more of what it takes for a command',
  )
  t.match(other.error?.message, /Does it speak TLS/)
  await until(async () => (await othersOf(server)) === 0)
})

t.test('no server there, no such host, and one that may not be reached', async (t) => {
  const app = await startApp(t, { egress: 'deny:10.0.0.0/8' })
  const port = await freePort()
  const refused = await perform(app, 'redis', ping(port))
  t.match(refused, failure('connection-refused', true))
  t.match(refused.error?.message, `Connecting to Redis at 127.0.0.1:${port}`)
  t.match(await perform(app, 'redis', ping(port, { host: 'localhost' })), {
    error: { code: 'connection-refused' },
  })
  t.match(await perform(app, 'redis', ping(port, { host: 'nowhere.invalid' })), {
    error: { code: 'unknown-host' },
  })
  t.match(await perform(app, 'redis', ping(port, { host: '10.1.2.3' })), {
    error: { code: 'egress-denied', retryable: false },
  })
})

t.test('an address of IPv6, in brackets or without', async (t) => {
  const server = await startRedis(t, { settings: ['--bind', '127.0.0.1', '-::1'] })
  if (server === undefined) return
  const app = await startApp(t)
  const bare = await perform(app, 'redis', ping(server.port, { host: '::1' }))
  if (bare.error?.code === 'unreachable') {
    t.pass('there is no IPv6', { skip: 'no IPv6' })
    return
  }
  t.match(bare, pong)
  t.match(await perform(app, 'redis', ping(server.port, { host: '[::1]' })), pong)
})

t.test('a server that accepts and says nothing', async (t) => {
  const impostor = await startImpostor(t, () => {})
  const app = await startApp(t)
  const run = (more: object) => perform(app, 'redis', ping(impostor.port, { timeout: 50, ...more }))
  t.match(await run({ command: 'incr', args: ['n'] }), failure('reply-timeout', false))
  t.match(await run({ command: 'get', args: ['n'] }), failure('reply-timeout', true), 'a read')
  t.match(await run({ password: 's3cret' }), failure('connection-timeout', true), 'at the login')
  await until(() => impostor.sockets.length === 3 && impostor.sockets.every((s) => s.destroyed))
})

t.test('a server that closes half way', async (t) => {
  const app = await startApp(t)
  for (const half of ['', '$10\r\nhel', '*2\r\n$1\r\na\r\n']) {
    const impostor = await startImpostor(t, (socket) => socket.end(half))
    const run = (command: string, args: string[]) =>
      perform(app, 'redis', ping(impostor.port, { command, args }))
    const lost = await run('incr', ['n'])
    t.match(lost, failure('connection-lost', false), JSON.stringify(half))
    t.match(lost.error?.message, /may have been performed/)
    t.match(await run('get', ['n']), failure('connection-lost', true))
    t.equal(impostor.sockets.length, 2, 'nothing was sent again')
  }
  const atLogin = await startImpostor(t, (socket) => socket.destroy())
  const task = await perform(
    app,
    'redis',
    ping(atLogin.port, { password: 'x', command: 'flushall' }),
  )
  t.match(task, failure('connection-lost', true), 'before the command was sent')
  t.notMatch(atLogin.received(), /FLUSHALL/)
})

t.test('an INCR whose answer is lost was done once', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const port = await startProxy(t, server.port, (cut, request) => {
    if (request.includes('INCR')) cut()
  })
  const app = await startApp(t)
  const task = await perform(app, 'redis', ping(port, { command: 'incr', args: ['n'] }))
  t.match(task, failure('connection-lost', false))
  t.equal(await server.client.get('n'), '1')
})

t.test('what is no Redis server is found out, and harms nobody', async (t) => {
  const app = await startApp(t)
  for (const [reply, code] of [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', 'invalid-reply'],
    ['+OK\r\n$-1\r\n', 'invalid-reply'],
    ['>1\r\n_\r\n', 'invalid-reply'],
    ['%1\r\n+a\r\n+b\r\n', 'invalid-reply'],
    ['+OK\r$-1\r\n', 'invalid-reply'],
    ['*x\r\n', 'invalid-reply'],
    ['\r\n', 'invalid-reply'],
    ['*1\r\n'.repeat(200), 'invalid-reply'],
    ['*1000000000\r\n', 'reply-too-large'],
    ['*3000000\r\n'.repeat(4), 'reply-too-large'],
    ['$999999999\r\n', 'reply-too-large'],
  ] as const) {
    const impostor = await startImpostor(t, (socket) => socket.write(reply))
    const task = await perform(app, 'redis', ping(impostor.port))
    t.match(task, failure(code, false), JSON.stringify(reply.slice(0, 20)))
    await until(() => impostor.sockets.every((socket) => socket.destroyed))
  }
  const endless = await startImpostor(t, (socket) => {
    const more = () => socket.destroyed || socket.write(Buffer.alloc(65_536, '+'), more)
    more()
  })
  t.match(await perform(app, 'redis', ping(endless.port)), failure('reply-too-large', false))
})

t.test('what a server says of itself at the door', async (t) => {
  const server = await startRedis(t, { settings: ['--maxclients', '1'] })
  if (server === undefined) return
  const app = await startApp(t)
  t.match(await perform(app, 'redis', ping(server.port)), failure('redis-unavailable', true))
  const task = await perform(app, 'redis', ping(server.port, { password: 'x' }))
  t.match(task, failure('redis-unavailable', true))
})

t.test('a command that blocks ends with its timeout, or when it is canceled', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const app = await startApp(t)
  const blocking = { command: 'blpop', args: ['queue', 0] }
  const late = await perform(app, 'redis', ping(server.port, { ...blocking, timeout: 100 }))
  t.match(late, failure('reply-timeout', false))
  await until(async () => (await othersOf(server)) === 0)
  const id = await submit(app, 'redis', ping(server.port, { ...blocking, timeout: 60_000 }))
  await until(async () => (await othersOf(server)) === 1)
  const began = performance.now()
  await app.errand.act(id, 'cancel')
  t.match(await settled(app, id), { status: 'canceled', error: { code: 'canceled' } })
  await until(async () => (await othersOf(server)) === 0)
  const took = performance.now() - began
  t.ok(took < GONE_WITHIN_MS, `the connection is gone at the server: ${Math.round(took)} ms`)
  await server.client.rpush('queue', 'element')
  t.equal(await server.client.llen('queue'), 1, 'nobody takes it any more')
})

t.test('a cancel while it connects, or logs in', async (t) => {
  const impostor = await startImpostor(t, () => {})
  const app = await startApp(t)
  const cases: [object, string][] = [
    [{ password: 'x' }, 'logging in'],
    [{ tls: true }, 'shaking hands'],
  ]
  for (const [i, [more, name]] of cases.entries()) {
    const id = await submit(app, 'redis', ping(impostor.port, { ...more, timeout: 60_000 }))
    await inStatus(app, id, 'running')
    await until(() => impostor.sockets.length === i + 1)
    const began = performance.now()
    await app.errand.act(id, 'cancel')
    t.match(await settled(app, id), { status: 'canceled' }, name)
    await until(() => impostor.sockets[i]?.destroyed === true)
    const took = performance.now() - began
    t.ok(took < GONE_WITHIN_MS, `${name}: the connection is gone in ${Math.round(took)} ms`)
  }
})

t.test('a thousand tasks leave nothing behind', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const app = await startApp(t)
  t.match(await perform(app, 'redis', ping(server.port)), pong)
  await until(async () => (await othersOf(server)) === 0)
  const before = resources()
  const incr = ping(server.port, { command: 'incr', args: ['n'] })
  const ids = await Promise.all(Array.from({ length: 1_000 }, () => submit(app, 'redis', incr)))
  const tasks = await Promise.all(ids.map((id) => settled(app, id)))
  t.equal(tasks.filter(({ status }) => status === 'completed').length, 1_000)
  t.equal(await server.client.get('n'), '1000', 'each was performed once')
  await until(async () => (await othersOf(server)) === 0)
  await until(() => resources() === before)
  t.equal(resources(), before, 'no socket and no timer')
})

/** What keeps the process busy, the test's own connections and servers among it. */
function resources(): string {
  return process.getActiveResourcesInfo().sort().join()
}
