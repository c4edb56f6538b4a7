import t, { type Test } from 'tap'
import { perform, startApp } from './perform.ts'
import { readMime } from './smtp/mime.ts'
import { MAIL, makeKeys, PASSWORD, reply, startServer, startWiretap, USER } from './smtp/server.ts'

const app = await startApp(t)
const keys = makeKeys(t)
const credentials = { login: USER, password: PASSWORD }
const secure = { use_tls: true, cacert: keys.cert }

/** Sends by a server of its own, and returns what that got. */
async function send(t: Test, input: object, options: Parameters<typeof startServer>[1] = {}) {
  const server = await startServer(t, { ...keys, ...options })
  const task = await perform(app, 'smtp', { ...MAIL, smtp_port: server.port, ...input })
  const [received] = server.mails
  return { task, server, received, root: received && readMime(received.raw) }
}

t.test('a mail arrives as it was written, with an id of its task', async (t) => {
  const { task, received, root } = await send(t, {})
  const id = `<${task.id}@example.com>`
  t.match(task, { status: 'completed' })
  t.same(task.output, { message_id: id, accepted: ['ada@example.com'], rejected: [] })
  t.match(received, { from: 'errand@example.com', to: ['ada@example.com'], isSecure: false })
  t.match(root?.headers, {
    from: 'errand@example.com',
    to: 'ada@example.com',
    subject: 'Done',
    'message-id': id,
    'mime-version': '1.0',
  })
  t.ok(Math.abs(Date.parse(root?.headers.date ?? '') - Date.now()) < 60_000, 'dated now')
  t.equal(root?.content.toString().trim(), 'All of it.')
})

t.test('STARTTLS, with a login', async (t) => {
  const { task, received } = await send(t, { ...secure, ...credentials })
  t.match(task, { status: 'completed' }, 'by the address')
  t.match(received, { isSecure: true, user: USER })
  const byName = await send(t, { ...secure, ...credentials, smtp_host: 'localhost' })
  t.match(byName.task, { status: 'completed' }, 'by the name')
  for (const authMethods of [['LOGIN'], ['CRAM-MD5']]) {
    const onAuth: Parameters<typeof startServer>[1]['onAuth'] = (auth, _session, callback) => {
      const isRight = auth.password === PASSWORD || auth.validatePassword(PASSWORD)
      callback(null, isRight ? { user: USER } : {})
    }
    const { task } = await send(t, { ...secure, ...credentials }, { authMethods, onAuth })
    t.match(task, { status: 'completed' }, String(authMethods))
  }
})

t.test('on port 465, TLS from the start, whatever use_tls says', async (t) => {
  // An address of loopback that no other test has: the port can only be this one.
  const host = `127.${100 + (process.pid >> 16)}.${(process.pid >> 8) & 255}.${process.pid & 255}`
  const own = makeKeys(t, `IP:${host}`)
  const options = { ...own, secure: true, host, port: 465 }
  const server = await startServer(t, options).catch((error: NodeJS.ErrnoException) => error.code)
  if (typeof server !== 'object') {
    const message = `NOT TESTED TLS FROM THE START: ${server} at ${host}:465`
    if (process.env.CI === 'true') t.fail(message)
    else t.pass(message, { skip: message })
    return
  }
  const input = { ...MAIL, ...credentials, smtp_host: host, smtp_port: 465, cacert: own.cert }
  t.match(await perform(app, 'smtp', { ...input, use_tls: true }), { status: 'completed' })
  t.match(await perform(app, 'smtp', { ...input, use_tls: false }), { status: 'completed' })
  t.match(server.mails, [
    { isSecure: true, user: USER },
    { isSecure: true, user: USER },
  ])
  const { cacert, ...untrusting } = input
  t.match(await perform(app, 'smtp', untrusting), { error: { code: 'bad-certificate' } })
})

t.test('without use_tls nothing is encrypted, though the server offers it', async (t) => {
  const { task, received } = await send(
    t,
    { ...credentials, allow_plaintext_password: true },
    {
      allowInsecureAuth: true,
    },
  )
  t.match(task, { status: 'completed' })
  t.match(received, { isSecure: false, user: USER })
})

t.test('no password goes over the wire in plain text', async (t) => {
  const server = await startServer(t, { ...keys, allowInsecureAuth: true })
  const wire = await startWiretap(t, server.port)
  const input = { ...MAIL, ...credentials, smtp_port: wire.port }
  const secret = [PASSWORD, `\0${USER}\0${PASSWORD}`].flatMap((text) => [
    text,
    Buffer.from(text).toString('base64'),
  ])
  const isHeard = () => secret.some((text) => wire.text().includes(text))

  t.match(await perform(app, 'smtp', input), {
    status: 'failed',
    error: { code: 'plaintext-password', retryable: false },
  })
  t.equal(wire.text(), '', 'nothing was sent at all')
  t.match(await perform(app, 'smtp', { ...input, ...secure }), { status: 'completed' })
  t.match(wire.text(), 'STARTTLS')
  t.notOk(isHeard(), 'over TLS nobody can read it')
  const allowed = { ...input, allow_plaintext_password: true }
  t.match(await perform(app, 'smtp', allowed), { status: 'completed' })
  t.ok(isHeard(), 'this test would hear it')
})

t.test('recipients: text and lists, copies, and who is not shown', async (t) => {
  const { task, received, root } = await send(t, {
    to: 'Ada <ada@example.com>, "Hopper, Grace" <grace@example.com>',
    cc: ['Alan <alan@example.com>', 'ada@example.com'],
    bcc: ['kurt@example.com', 'Secret <secret@example.com>'],
  })
  const to = ['ada', 'grace', 'alan', 'kurt', 'secret'].map((name) => `${name}@example.com`)
  t.match(task, { status: 'completed', output: { accepted: to, rejected: [] } })
  t.same(received?.to, to, 'each once')
  t.equal(root?.headers.to, 'Ada <ada@example.com>, "Hopper, Grace" <grace@example.com>')
  t.equal(root?.headers.cc, 'Alan <alan@example.com>, ada@example.com')
  t.notMatch(received?.raw.toString(), /kurt|secret|bcc/i, 'nobody sees the others')
})

t.test('some recipients refused: it completes, and shows them', async (t) => {
  const { task, received } = await send(
    t,
    { to: 'ada@example.com, gone@example.com, full@example.com', bcc: 'grace@example.com' },
    {
      onRcptTo({ address }, _session, callback) {
        if (address.startsWith('gone')) callback(reply(550, '5.1.1 No such user'))
        else if (address.startsWith('full')) callback(reply(452, '4.2.2 Mailbox full'))
        else callback()
      },
    },
  )
  t.match(task, { status: 'completed' })
  t.same(task.output, {
    message_id: `<${task.id}@example.com>`,
    accepted: ['ada@example.com', 'grace@example.com'],
    rejected: [
      { address: 'gone@example.com', code: 550, message: '5.1.1 No such user' },
      { address: 'full@example.com', code: 452, message: '4.2.2 Mailbox full' },
    ],
  })
  t.same(received?.to, ['ada@example.com', 'grace@example.com'])
})

t.test('a repeated attempt sends the same id', async (t) => {
  let failures = 1
  const server = await startServer(t, {
    ...keys,
    onMailFrom: (_address, _session, callback) =>
      callback(failures-- > 0 ? reply(451, '4.7.1 Greylisted, try again') : null),
  })
  const input = { ...MAIL, smtp_port: server.port }
  const { task } = await app.errand.submit('smtp', input, { retry: { retries: 1, delayMs: 1 } })
  const settled = await app.errand.wait(task.id, 20_000)
  t.match(settled, {
    status: 'completed',
    attempt: 2,
    output: { message_id: `<${task.id}@example.com>` },
  })
  t.match(readMime(server.mails[0]?.raw ?? Buffer.alloc(0)).headers, {
    'message-id': `<${task.id}@example.com>`,
  })
})
