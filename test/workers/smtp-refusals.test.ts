import t, { type Test } from 'tap'
import { until } from '../until.ts'
import { perform, startApp, submit } from './perform.ts'
import { MAIL, makeKeys, PASSWORD, reply, startServer, USER } from './smtp/server.ts'

const app = await startApp(t)
const keys = makeKeys(t)
const secure = { use_tls: true, cacert: keys.cert }

type Options = Parameters<typeof startServer>[1]

/** Sends by a server that is set up so, and returns the task. */
async function send(t: Test, input: object, options: Options = {}) {
  const server = await startServer(t, { ...keys, ...options })
  const task = await perform(app, 'smtp', { ...MAIL, smtp_port: server.port, ...input })
  await until(() => server.seen.open.size === 0)
  return { task, server }
}

t.test('what a server refuses, and whether it may go well another time', async (t) => {
  const cases: [name: string, code: string, retryable: boolean, input: object, Options][] = [
    ['a wrong password', 'login-refused', false, { ...secure, login: USER, password: 'x' }, {}],
    [
      'logins at the time',
      'login-refused',
      true,
      { ...secure, login: USER, password: 'x' },
      { onAuth: (_auth, _session, callback) => callback(reply(454, '4.7.0 Try later')) },
    ],
    [
      'a login where there is none',
      'login-unavailable',
      false,
      { ...secure, login: USER, password: PASSWORD },
      { disabledCommands: ['AUTH'] },
    ],
    [
      'the sender',
      'sender-refused',
      false,
      {},
      { onMailFrom: (_address, _session, callback) => callback(reply(550, '5.7.1 Not you')) },
    ],
    [
      'the sender for now, before pipelined commands',
      'sender-refused',
      true,
      { to: ['a@b.c', 'd@e.f'] },
      { onMailFrom: (_address, _session, callback) => callback(reply(451, '4.3.0 Later')) },
    ],
    ['to do without a login', 'sender-refused', false, {}, { authOptional: false }],
    [
      'the message',
      'message-refused',
      false,
      {},
      { onData: (stream, _session, callback) => refuseMessage(stream, callback, 554) },
    ],
    [
      'the message for now',
      'message-refused',
      true,
      {},
      { onData: (stream, _session, callback) => refuseMessage(stream, callback, 451) },
    ],
    [
      'a message of that size',
      'message-too-large',
      false,
      { body: 'x'.repeat(9_000) },
      { size: 5_000 },
    ],
    [
      'everybody',
      'server-unavailable',
      false,
      {},
      { onConnect: (_session, callback) => callback(reply(554, 'No service')) },
    ],
    [
      'everybody for now',
      'server-unavailable',
      true,
      {},
      { onConnect: (_session, callback) => callback(reply(421, 'Too busy')) },
    ],
    [
      'STARTTLS',
      'starttls-unavailable',
      false,
      { use_tls: true },
      { disabledCommands: ['STARTTLS'] },
    ],
  ]
  for (const [name, code, retryable, input, options] of cases) {
    for (const hidePIPELINING of [false, true]) {
      const { task, server } = await send(t, input, { ...options, hidePIPELINING })
      t.match(
        task,
        { status: 'failed', error: { code, retryable } },
        `${name}: ${task.error?.message}`,
      )
      t.same(server.mails, [], 'nothing was taken')
    }
  }
})

function refuseMessage(
  stream: NodeJS.ReadableStream,
  callback: (error: Error) => void,
  code: number,
) {
  stream.resume()
  stream.once('end', () => callback(reply(code, 'I do not like it')))
}

t.test('all recipients refused: it fails, and shows them', async (t) => {
  const answers: { [address: string]: Error } = {
    'a@b.c': reply(550, '5.1.1 No such user'),
    'd@e.f': reply(452, '4.2.2 Mailbox full'),
  }
  const options: Options = {
    onRcptTo: ({ address }, _session, callback) => callback(answers[address]),
  }
  const { task, server } = await send(t, { to: ['a@b.c', 'd@e.f'] }, options)
  t.match(task, { status: 'failed', error: { code: 'recipients-refused', retryable: true } })
  t.same(task.output, {
    message_id: `<${task.id}@example.com>`,
    accepted: [],
    rejected: [
      { address: 'a@b.c', code: 550, message: '5.1.1 No such user' },
      { address: 'd@e.f', code: 452, message: '4.2.2 Mailbox full' },
    ],
  })
  t.same(server.mails, [])
  const forGood = await send(t, { to: 'a@b.c' }, options)
  t.match(forGood.task, { error: { code: 'recipients-refused', retryable: false } })
})

t.test('certificates that prove nothing', async (t) => {
  const login = { login: USER, password: PASSWORD }
  const cases: [string, object][] = [
    ['of nobody known', { use_tls: true }],
    ['of another host', { ...secure, smtp_host: '127.0.0.2' }],
  ]
  for (const [name, input] of cases) {
    const { task, server } = await send(t, { ...login, ...input }, { host: '0.0.0.0' })
    const error = { code: 'bad-certificate', retryable: false, message: /cacert/ }
    t.match(task, { status: 'failed', error }, name)
    t.same(server.mails, [])
  }
  const { task, server } = await send(t, { use_tls: true, cacert: 'no PEM' })
  t.match(task, { status: 'failed', error: { code: 'invalid-cacert', retryable: false } })
  t.equal(server.seen.count, 0)
})

t.test('what cannot be sent is refused before anything is', async (t) => {
  const server = await startServer(t, keys)
  const input = { ...MAIL, smtp_port: server.port }
  const attach = (content: string) => ({ attachments: [{ filename: 'a', content }] })
  const cases: [object, string][] = [
    [{ to: 'ada' }, 'invalid-address'],
    [{ to: 'john doe@example.com' }, 'invalid-address'],
    [{ to: 'a@b.c <d@e.f> <g@h.i>' }, 'invalid-address'],
    [{ to: ['a@b.c, d@e.f'] }, 'invalid-address'],
    [{ to: 'all: a@b.c, d@e.f;' }, 'invalid-address'],
    [{ to: 'a@b.c> SIZE=1' }, 'invalid-address'],
    [{ to: ',' }, 'invalid-address'],
    [{ cc: 'a@b c' }, 'invalid-address'],
    [{ bcc: '@example.com' }, 'invalid-address'],
    [{ bcc: `${'x'.repeat(400)}@example.com` }, 'invalid-address'],
    [{ from: 'a@b.c, d@e.f' }, 'invalid-address'],
    [{ from: 'a@ex%61mple.com' }, 'invalid-address'],
    [{ from: 'a@b..c' }, 'invalid-address'],
    [attach('%%%%'), 'invalid-attachment'],
    [attach('AAECA'), 'invalid-attachment'],
    [attach('AA==AAEC'), 'invalid-attachment'],
    [attach('AAAA'.repeat(6_600_000)), 'message-too-large'],
    [{ body: 'ü'.repeat(13_200_000) }, 'message-too-large'],
    [attach('AAAA'.repeat(6_450_000)), 'message-too-large'],
    [{ login: USER, password: '' }, 'incomplete-login'],
    [{ smtp_host: 'no host' }, 'unknown-host'],
  ]
  for (const [more, code] of cases) {
    const task = await perform(app, 'smtp', { ...input, ...more })
    t.match(task, { status: 'failed', error: { code, retryable: false } }, `${task.error?.message}`)
  }
  t.equal(server.seen.count, 0)
})

t.test('no header can be put in', async (t) => {
  const server = await startServer(t, keys)
  const input = { ...MAIL, smtp_port: server.port }
  for (const end of ['\r\n', '\n', '\r', '\0']) {
    const evil = `x${end}Bcc: eve@example.com`
    const cases: object[] = [
      { subject: evil },
      { from: `${evil} <a@b.c>` },
      { from: `"${evil}" <a@b.c>` },
      { from: `a@b.c${end}RCPT TO:<eve@example.com>` },
      { to: `${evil} <a@b.c>` },
      { to: [`a@b.c>${end}DATA`] },
      { cc: evil },
      { bcc: [evil] },
      { login: evil, password: 'x' },
      { attachments: [{ filename: evil, content: '' }] },
      { attachments: [{ filename: 'a', content: '', content_type: `text/MAIL${end}Bcc: e@f.g` }] },
    ]
    for (const more of cases)
      await t.rejects(
        submit(app, 'smtp', { ...input, ...more }),
        { code: 'invalid-input' },
        JSON.stringify(more),
      )
  }
  const odd = { subject: '=?utf-8?Q?=0D=0ABcc:_eve@example.com?=', html: { path: '/etc/passwd' } }
  await t.rejects(submit(app, 'smtp', { ...input, ...odd }), { code: 'invalid-input' })
  for (const more of [{ headers: { bcc: 'eve@example.com' } }, { raw: 'x' }, { login: 'x' }])
    await t.rejects(submit(app, 'smtp', { ...input, ...more }), { code: 'invalid-input' })
  const file = { filename: 'a', content: '', path: '/etc/passwd' }
  await t.rejects(submit(app, 'smtp', { ...input, attachments: [file] }), { code: 'invalid-input' })
  t.equal(server.seen.count, 0)
})
