import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { until } from '../until.ts'
import { perform, settled, startApp, submit } from './perform.ts'
import {
  answering,
  MAIL,
  makeKeys,
  type Seen,
  startRaw,
  startServer,
  TAKES_ALL,
} from './smtp/server.ts'

const WITHIN_MS = 100

const app = await startApp(t)
const keys = makeKeys(t)
const secure = { use_tls: true, cacert: keys.cert }

/** Sends by a server that behaves so, and returns the task. */
async function sendRaw(t: Test, serve: (socket: Socket) => void, input: object = {}) {
  const server = await startRaw(t, serve)
  const task = await perform(app, 'smtp', { ...MAIL, smtp_port: server.port, ...input })
  await until(() => server.seen.open.size === 0)
  return task
}

t.test('where there is no server', async (t) => {
  const server = await startRaw(t, (socket) => socket.destroy())
  const closed = await perform(app, 'smtp', { ...MAIL, smtp_port: server.port })
  t.match(closed, { error: { code: 'connection-lost', retryable: true } })
  t.match(await perform(app, 'smtp', { ...MAIL, smtp_port: 1 }), {
    error: { code: 'connection-refused', retryable: true, message: /127\.0\.0\.1:1/ },
  })
  t.match(await perform(app, 'smtp', { ...MAIL, smtp_host: 'nobody.invalid' }), {
    error: { code: 'unknown-host' },
  })
  const http = (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  t.match(await sendRaw(t, http), { error: { code: 'protocol-error', retryable: false } })
  const endless = (socket: Socket) => {
    const more = () => socket.writable && socket.write('220-and so on\r\n'.repeat(1_000), more)
    more()
  }
  t.match(await sendRaw(t, endless), { error: { code: 'protocol-error', retryable: false } })
  const noTls = (socket: Socket) => {
    answering([/^EHLO/, '250-test\r\n250 STARTTLS'], [/^STARTTLS/, '220 go'])(socket)
    socket.on('data', (text: string) => text.startsWith('\x16') && socket.write('nonsense\r\n'))
  }
  t.match(await sendRaw(t, noTls, secure), { error: { code: 'tls-failed', retryable: false } })
  t.match(await sendRaw(t, answering([/^EHLO/, '502 what?']), secure), {
    error: { code: 'starttls-unavailable', retryable: false },
  })
})

t.test('the operator says where mail may go', async (t) => {
  const app = await startApp(t, { egress: 'deny:127.0.0.1,deny:xn--bcher-kva.example' })
  const server = await startServer(t, keys)
  for (const smtp_host of ['127.0.0.1', '[::ffff:127.0.0.1]', '0x7f.1']) {
    const task = await perform(app, 'smtp', { ...MAIL, smtp_host, smtp_port: server.port })
    t.match(task, { status: 'failed', error: { code: 'egress-denied' } }, smtp_host)
  }
  t.equal(server.seen.count, 0)
})

t.test('an answer that is lost', async (t) => {
  const losing = (line: RegExp) => answering([line, 'close'], ...TAKES_ALL)
  for (const line of [/^EHLO/, /^MAIL/, /^RCPT/, /^DATA/]) {
    const task = await sendRaw(t, losing(line))
    t.match(
      task,
      { status: 'failed', error: { code: 'connection-lost', retryable: true } },
      String(line),
    )
  }
  const task = await sendRaw(t, losing(/^\.$/))
  const id = `<${task.id}@example.com>`
  t.match(task, {
    status: 'failed',
    error: { code: 'delivery-unknown', retryable: false, message: /may have been delivered/ },
    output: { message_id: id },
  })
  t.match(await sendRaw(t, losing(/^QUIT/)), { status: 'completed' }, 'the good-bye is no matter')
  const busy = answering([/^RCPT/, '421 4.3.2 Shutting down'], ...TAKES_ALL)
  t.match(await sendRaw(t, busy), { error: { code: 'server-unavailable', retryable: true } })
  const late = answering([/^\.$/, '421 4.3.2 Shutting down'], ...TAKES_ALL)
  t.match(await sendRaw(t, late), { error: { code: 'message-refused', retryable: true } })
})

t.test('a large message of which not all was written was not delivered', async (t) => {
  const body = 'x\n'.repeat(4_000_000)
  const cutting = (socket: Socket) => {
    answering(...TAKES_ALL)(socket)
    let bytes = 0
    socket.on('data', (text: string) => {
      bytes += text.length
      if (bytes > 1_000_000) socket.destroy()
    })
  }
  const task = await sendRaw(t, cutting, { body })
  t.match(task, { status: 'failed', error: { code: 'connection-lost', retryable: true } })
})

t.test('a timeout of its own, at whatever step', async (t) => {
  const silent = () => {}
  const trickling = (socket: Socket) => {
    const timer = setInterval(() => socket.write('220-still here\r\n'), 20)
    socket.once('close', () => clearInterval(timer))
  }
  for (const serve of [silent, trickling, answering(), answering([/^EHLO/, '250 test'])]) {
    const began = performance.now()
    const task = await sendRaw(t, serve, { timeout: 300 })
    t.match(task, { status: 'failed', error: { code: 'connection-timeout', retryable: true } })
    t.ok(performance.now() - began < 5_000, 'soon')
  }
  const handshake = answering([/^EHLO/, '250-test\r\n250 STARTTLS'], [/^STARTTLS/, '220 go'])
  t.match(await sendRaw(t, handshake, { ...secure, timeout: 300 }), {
    error: { code: 'connection-timeout' },
  })
  const unanswered = answering([/^\.$/, ''], ...TAKES_ALL.slice(0, 4))
  t.match(await sendRaw(t, unanswered, { timeout: 2_000 }), {
    error: { code: 'delivery-unknown', retryable: false },
  })
})

t.test('a timeout of the task does not have a mail sent twice', async (t) => {
  const outcome = async (serve: (socket: Socket) => void, timeout: number) => {
    const server = await startRaw(t, serve)
    const options = { timeout, retry: { retries: 1, delayMs: 1 } }
    const { task } = await app.errand.submit('smtp', { ...MAIL, smtp_port: server.port }, options)
    const { attempt, error } = await app.errand.wait(task.id, 20_000)
    return [attempt, error?.code, server.seen.count]
  }
  const [handedOver, silent] = await Promise.all([
    outcome(answering(...TAKES_ALL.slice(0, 4)), 2_000),
    outcome(answering(), 600),
  ])
  t.same(handedOver, [1, 'delivery-unknown', 1])
  t.same(silent, [2, 'timeout', 2])
})

t.test('a cancel closes the connection at once, wherever it is', async (t) => {
  const cancel = async (port: number, seen: Seen, input: object, isThere: () => boolean) => {
    const id = await submit(app, 'smtp', { ...MAIL, smtp_port: port, ...input })
    await until(isThere)
    const began = performance.now()
    await app.errand.act(id, 'cancel')
    await until(() => seen.open.size === 0)
    t.match(await settled(app, id), { status: 'canceled', error: { code: 'canceled' } })
    return { tookMs: seen.closedAt - began, id }
  }
  const steps: [string, RegExp, object][] = [
    ['before the greeting', /^never/, {}],
    ['after EHLO', /^EHLO/, {}],
    ['in a TLS handshake', /^STARTTLS/, secure],
    ['after MAIL', /^MAIL/, {}],
    ['after DATA', /^DATA/, {}],
    ['after all of the message', /^\.$/, {}],
  ]
  for (const [name, last, input] of steps) {
    let isThere = false
    const server = await startRaw(t, (socket) => {
      if (name === 'before the greeting') isThere = true
      else
        answering(
          [last, last.source === '^STARTTLS' ? '220 go' : ''],
          [/^EHLO/, '250-test\r\n250 STARTTLS'],
          ...TAKES_ALL,
        )(socket)
      socket.on('data', (text: string) => {
        if (text.split('\r\n').some((line) => last.test(line))) isThere = true
      })
    })
    const { tookMs, id } = await cancel(server.port, server.seen, input, () => isThere)
    t.ok(tookMs < WITHIN_MS, `${name}: ${Math.round(tookMs)} ms`)
    const logs = await app.errand.logs(id)
    t.equal(
      logs.length,
      name === 'after all of the message' ? 1 : 0,
      'told where it may have been delivered',
    )
  }

  let isThere = false
  const server = await startServer(t, {
    ...keys,
    onRcptTo: () => {
      isThere = true
    },
  })
  const { tookMs } = await cancel(server.port, server.seen, secure, () => isThere)
  t.ok(tookMs < WITHIN_MS, `in a real server's transaction over TLS: ${Math.round(tookMs)} ms`)
  t.same(server.mails, [])
})

t.test('a cancel in the middle of a large message', async (t) => {
  const server = await startServer(t, keys)
  const stalled = await startRaw(t, (socket) => {
    answering(...TAKES_ALL)(socket)
    socket.on('data', (text: string) => {
      if (text.length > 10_000) socket.pause()
    })
  })
  const id = await submit(app, 'smtp', {
    ...MAIL,
    smtp_port: stalled.port,
    body: 'x\n'.repeat(4_000_000),
  })
  await until(async () => ((await app.errand.get(id)).progress?.done ?? 0) > 100_000)
  await app.errand.act(id, 'cancel')
  t.match(await settled(app, id), { status: 'canceled' })
  for (const socket of stalled.seen.open) socket.removeAllListeners('data').resume()
  await until(() => stalled.seen.open.size === 0)
  t.match(await perform(app, 'smtp', { ...MAIL, smtp_port: server.port }), { status: 'completed' })
})
