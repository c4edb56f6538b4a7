import { readdirSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { until } from '../until.ts'
import { settled, startApp, submit } from './perform.ts'
import { makeKeys, PASSWORD, startServer, USER } from './smtp/server.ts'

const MAILS = 1_000

t.test('a thousand mails arrive, each once, and nothing is left', async (t) => {
  const keys = makeKeys(t)
  const app = await startApp(t)
  const server = await startServer(t, keys)
  const mail = {
    from: 'errand@example.com',
    to: 'ada@example.com',
    subject: 'Done',
    body: 'All of it.',
    smtp_host: '127.0.0.1',
    smtp_port: server.port,
  }
  const plain = { ...mail, use_tls: false }
  const login = { login: USER, password: PASSWORD }
  const secure = { ...mail, ...login, cacert: keys.cert }
  await settled(app, await submit(app, 'smtp', plain))
  await settled(app, await submit(app, 'smtp', secure))
  await until(() => !left().resources.includes('TCPSocketWrap'))
  const before = left()

  // The server lets everybody wait for its greeting, to find out who is rude.
  const payload = { maxNumTasks: 50 }
  t.equal((await app.inject({ method: 'PATCH', url: '/workers/smtp', payload })).statusCode, 200)
  const began = performance.now()
  const ids = await Promise.all(
    Array.from({ length: MAILS }, (_, i) => submit(app, 'smtp', i % 10 === 0 ? secure : plain)),
  )
  const tasks = await Promise.all(ids.map((id) => settled(app, id)))
  t.comment(`${MAILS} mails in ${Math.round(performance.now() - began)} ms`)

  t.ok(
    tasks.every(({ status }) => status === 'completed'),
    'all are completed',
  )
  const sent = ids.map((id) => `<${id}@example.com>`).sort()
  const arrived = server.mails
    .slice(2)
    .map(({ raw }) => /^Message-ID: (\S+)/m.exec(raw.toString())?.[1] ?? '')
  t.same(arrived.sort(), sent)
  t.equal(server.seen.count, MAILS + 2)
  await until(() => server.seen.open.size === 0)
  await until(() => JSON.stringify(left()) === JSON.stringify(before)).catch(() => {})
  t.same(left(), before, 'no socket, timer or file is left')
})

/** What keeps this process alive, and the sockets and files that it has open. */
function left() {
  const resources = process.getActiveResourcesInfo().filter((name) => name !== 'Immediate')
  return { resources: resources.sort(), sockets: openSockets() }
}

function openSockets(): number {
  if (process.platform !== 'linux') return 0
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}
