import { type AddressInfo, connect } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { errand } from '../../src/app.ts'
import { echo, Gate, isProblem, makeApp, submit, type TaskJson } from '../app.ts'
import { until } from '../until.ts'

/** Each way to ask for a wait of so many seconds. */
const WAYS = [
  (wait: string) => ({ query: { wait } }),
  (wait: string) => ({ headers: { prefer: `wait=${wait}` } }),
] as const

const BAD = ['-1', '61', '60.001', 'abc', '1e1', '0x5', '999999', '1e309', '5s', 'NaN', '٣']

/** Every address that holds its answer, of a task that runs. */
async function addresses(app: FastifyInstance) {
  const { id } = await submit(app, 'gate', { label: 'running' })
  return [
    { method: 'POST', url: '/workers/gate', payload: {} },
    { method: 'POST', url: '/tasks', payload: { worker: 'gate' } },
    { method: 'GET', url: `/tasks/${id}` },
    { method: 'GET', url: `/tasks/${id}/status` },
    { method: 'GET', url: `/tasks/${id}/result` },
  ] as const
}

t.test('header and query are alike on every address that returns a task', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  for (const address of await addresses(app)) {
    for (const way of WAYS) {
      const response = await app.inject({ ...address, ...way('0.02') })
      t.equal(response.statusCode, 202, `${address.method} ${address.url}`)
      t.equal(response.headers['preference-applied'], 'wait=0.02')
      t.match(response.json(), { status: /^(queued|running)$/ })
      t.equal(response.headers.location, `/tasks/${response.json<TaskJson>().id}`)
    }
  }
})

t.test('a bad wait is refused on every address and nothing is submitted', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  for (const address of await addresses(app)) {
    for (const way of WAYS)
      isProblem(t, await app.inject({ ...address, ...way('61') }), 'invalid-wait')
  }
  t.equal((await app.inject('/tasks')).json<{ tasks: TaskJson[] }>().tasks.length, 1)
})

t.test('bad waits of every shape are refused', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  for (const wait of BAD) {
    const inQuery = await app.inject({ url: `/tasks/${id}`, query: { wait } })
    t.match(isProblem(t, inQuery, 'invalid-wait').detail, JSON.stringify(wait))
    if (wait === '٣') continue
    const inHeader = await app.inject({ url: `/tasks/${id}`, headers: { prefer: `wait=${wait}` } })
    isProblem(t, inHeader, 'invalid-wait')
  }
  isProblem(t, await app.inject(`/tasks/${id}?wait=`), 'invalid-wait')
  isProblem(t, await app.inject(`/tasks/${id}?wait=1&wait=2`), 'invalid-request')
})

t.test('the bounds themselves are waits', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  for (const wait of ['60', '60.000', '1.5', '007']) {
    const response = await app.inject(`/tasks/${id}?wait=${wait}`)
    t.equal(response.statusCode, 200)
    t.equal(response.headers['preference-applied'], `wait=${Number(wait)}`)
  }
})

t.test('a wait of 0 answers at once, with what is', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const response = await app.inject({ method: 'POST', url: '/workers/gate?wait=0', payload: {} })
  t.equal(response.statusCode, 202)
  t.equal(response.headers['preference-applied'], 'wait=0')
})

t.test('of several preferences the wait is read, whatever its form', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  for (const prefer of [
    'respond-async, wait=10',
    'wait="10"',
    'WAIT=10',
    'handling=lenient; x, wait = 10',
    'return=minimal,wait=10; foo',
  ]) {
    const response = await app.inject({ url: `/tasks/${id}`, headers: { prefer } })
    t.equal(response.headers['preference-applied'], 'wait=10', prefer)
  }
})

t.test('preferences that ask for no wait are none', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  for (const prefer of ['respond-async', 'await=10', 'return=minimal', '', 'wait']) {
    const headers = { prefer, 'content-type': 'application/json' }
    const response = await app.inject({
      method: 'POST',
      url: '/workers/gate',
      headers,
      payload: '{}',
    })
    t.equal(response.statusCode, 202, prefer)
    t.notOk('preference-applied' in response.headers, prefer)
  }
})

t.test('many wait for one task and all are answered when it settles', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  const answers = ['', '/status', '/result'].flatMap((form) =>
    Array.from({ length: 10 }, () => app.inject(`/tasks/${id}${form}?wait=20`)),
  )
  let early = 0
  for (const answer of answers) answer.then(() => early++)
  t.equal((await app.inject(`/tasks/${id}`)).json<TaskJson>().status, 'running')
  t.equal(early, 0, 'nobody was answered before')
  gate.release()
  for (const answer of await Promise.all(answers)) {
    t.equal(answer.statusCode, 200)
    t.equal(answer.json<TaskJson>().status, 'completed')
  }
})

t.test('who waits for a task that is canceled is answered', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  await submit(app, 'gate', { label: 'busy' })
  const { id } = await submit(app, 'gate', { label: 'queued' })
  await gate.arrived('busy')
  const held = app.inject(`/tasks/${id}/result?wait=20`)
  let answered = false
  held.then(() => (answered = true))
  await app.inject(`/tasks/${id}`)
  t.equal(answered, false)
  await app.inject({ method: 'POST', url: `/tasks/${id}/cancel` })
  const response = await held
  t.equal(response.statusCode, 200)
  t.match(response.json(), { status: 'canceled', error: { code: 'canceled' } })
})

t.test('a client that hangs up is not waited on, and its task goes on', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { id } = await submit(app, 'gate', { label: 'old' })
  const gone = new AbortController()
  const { signal } = gone
  const init = { headers: { 'content-type': 'application/json' }, signal }
  const held = [
    fetch(`${url}/tasks/${id}?wait=60`, { signal }),
    fetch(`${url}/workers/gate?wait=60`, { ...init, method: 'POST', body: '{"label":"new"}' }),
  ]
  await until(() => app.errand.awaited === 2)
  gone.abort()
  t.match(await Promise.allSettled(held), [{ status: 'rejected' }, { status: 'rejected' }])
  await until(() => app.errand.awaited === 0)
  gate.release('old')
  gate.release('new')
  const [newest] = (await app.inject('/tasks')).json<{ tasks: TaskJson[] }>().tasks
  t.match(await app.errand.wait(String(newest?.id), 5_000), { status: 'completed' })
})

t.test('one connection may hold many answers without a warning', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { id } = await submit(app, 'gate')
  const warned: Error[] = []
  const onWarning = (warning: Error) => warned.push(warning)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const request = `GET /tasks/${id}/status?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n`
  socket.write(request.repeat(20))
  await until(() => app.errand.awaited === 1)
  gate.release()
  let answered = ''
  socket.on('data', (chunk) => {
    answered += chunk
  })
  await until(() => answered.split('HTTP/1.1 200').length === 21)
  t.same(warned, [])
})

t.test('who waits for a task that will not run is answered when the server stops', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate], graceMs: 10_000 })
  await submit(app, 'gate', { label: 'busy' })
  await gate.arrived('busy')
  const queued = app.inject({
    method: 'POST',
    url: '/workers/gate?wait=30',
    payload: { label: 'q' },
  })
  const all = async () => (await app.inject('/tasks')).json<{ tasks: TaskJson[] }>().tasks
  queued.then(() => {})
  await until(async () => (await all()).length === 2)
  const closing = app.close()
  const response = await queued
  t.equal(response.statusCode, 202)
  t.equal(response.json<TaskJson>().status, 'queued')
  gate.release('busy')
  await closing
})

t.test('Location leads to the task wherever the routes are mounted', async (t) => {
  const host = fastify()
  t.teardown(() => host.close())
  await host.register(errand, { prefix: '/errand', builtins: false, workers: [echo] })
  const submitted = await host.inject({
    method: 'POST',
    url: '/errand/workers/echo',
    payload: { text: 'a' },
  })
  const { id } = submitted.json<TaskJson>()
  t.equal(submitted.headers.location, `/errand/tasks/${id}`)
  const followed = await host.inject(`${submitted.headers.location}/result?wait=10`)
  t.match(followed.json(), { id, status: 'completed' })
})
