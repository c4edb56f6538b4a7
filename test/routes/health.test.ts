import t from 'tap'
import { version } from '../../src/version.ts'
import { Gate, listen, makeApp, type ProblemJson, submit } from '../app.ts'

const PROBES = ['/healthz', '/readyz'] as const

t.test('both probes say ok, which version, and since when', async (t) => {
  const app = await makeApp(t)
  for (const probe of PROBES) {
    const response = await app.inject(probe)
    t.equal(response.statusCode, 200)
    t.match(response.headers['content-type'], /^application\/json/)
    t.match(response.json(), { status: 'ok', version, uptimeMs: Number })
    t.equal((await app.inject({ method: 'HEAD', url: probe })).statusCode, 200)
  }
})

t.test('the uptime rises', async (t) => {
  const app = await makeApp(t)
  const uptime = async () => (await app.inject('/healthz')).json<{ uptimeMs: number }>().uptimeMs
  const first = await uptime()
  let later = first
  while (later === first) later = await uptime()
  t.ok(later > first)
})

t.test('probes need no key', async (t) => {
  const app = await makeApp(t, { apiKey: 'a-long-enough-key' })
  for (const probe of PROBES) t.equal((await app.inject(probe)).statusCode, 200)
})

t.test('while it stops, a server is not ready and says so in a problem document', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate], graceMs: 10_000 })
  const url = await listen(app)
  await submit(app, 'gate')
  await gate.arrived()
  const closing = app.close()
  const response = await fetch(`${url}/readyz`)
  t.equal(response.status, 503)
  t.match(response.headers.get('content-type'), /^application\/problem\+json/)
  t.match((await response.json()) as ProblemJson, { code: 'stopping', status: 503 })
  gate.release()
  await closing
})

t.test('while it stops, a submit is refused with 503', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate], graceMs: 10_000 })
  const url = await listen(app)
  await submit(app, 'gate')
  await gate.arrived()
  const closing = app.close()
  const response = await fetch(`${url}/workers/gate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  t.equal(response.status, 503)
  gate.release()
  await closing
  t.strictSame(gate.begun, [''])
})
