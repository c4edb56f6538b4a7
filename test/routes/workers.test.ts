import t from 'tap'
import { Type } from 'typebox'
import { STATUSES } from '../../src/task/lifecycle.ts'
import { defineWorker } from '../../src/task/worker.ts'
import { echo, failing, Gate, isProblem, makeApp, submit } from '../app.ts'
import { BUILTINS } from '../builtins.ts'
import { until } from '../until.ts'

interface WorkerJson {
  name: string
  status: string
  maxNumTasks: number
  counts: { [status: string]: number }
}

t.test('the list names every worker, by name, with all that a client needs', async (t) => {
  const app = await makeApp(t, { workers: [failing, echo] })
  const response = await app.inject('/workers')
  t.equal(response.statusCode, 200)
  const { workers } = response.json<{ workers: WorkerJson[] }>()
  t.strictSame(
    workers.map(({ name }) => name),
    ['echo', 'failing'],
  )
  t.match(workers[0], {
    name: 'echo',
    description: 'Says what it was told',
    status: 'enabled',
    maxNumTasks: 10,
    counts: Object.fromEntries(STATUSES.map((status) => [status, 0])),
    input: { type: 'object', additionalProperties: false, required: ['text'] },
    output: { properties: { text: { type: 'string' } } },
    example: { text: 'hello', times: 2 },
  })
})

t.test('the built-in workers are served unless told otherwise', async (t) => {
  const app = await makeApp(t, { builtins: true })
  const { workers } = (await app.inject('/workers')).json<{ workers: WorkerJson[] }>()
  t.match(
    workers.map(({ name }) => name),
    BUILTINS,
  )
})

t.test('one worker is read by its name; what it does not set is absent', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const response = await app.inject('/workers/echo')
  t.equal(response.statusCode, 200)
  const worker = response.json<WorkerJson>()
  t.equal(worker.name, 'echo')
  for (const member of ['timeoutMs', 'retry', 'isolate']) t.notOk(member in worker, member)
})

t.test('a worker shows its timeout and its whole retry policy where it has them', async (t) => {
  const patient = defineWorker({
    name: 'patient',
    details: { description: 'Tries', output: Type.Null() },
    timeout: 5_000,
    retry: { retries: 2 },
    perform: () => null,
  })
  const app = await makeApp(t, { workers: [patient] })
  t.match((await app.inject('/workers/patient')).json(), {
    timeoutMs: 5_000,
    retry: { retries: 2, delayMs: Number, factor: Number, maxDelayMs: Number, jitter: Number },
  })
})

t.test('an unknown worker is 404 and the near name is told', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const method of ['GET', 'POST', 'PATCH'] as const) {
    const payload = method === 'PATCH' ? { maxNumTasks: 1 } : { text: 'a' }
    const request = { method, url: '/workers/ehco', ...(method !== 'GET' && { payload }) }
    t.match(isProblem(t, await app.inject(request), 'unknown-worker').detail, 'Did you mean echo?')
  }
  const far = isProblem(t, await app.inject('/workers/xylophone'), 'unknown-worker')
  t.notMatch(far.detail, 'Did you mean')
  isProblem(t, await app.inject('/workers/constructor'), 'unknown-worker')
  isProblem(t, await app.inject('/workers/__proto__'), 'unknown-worker')
})

t.test('counts follow the tasks', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  const counts = async () => (await app.inject('/workers/gate')).json<WorkerJson>().counts
  await submit(app, 'gate', { label: 'a' })
  await submit(app, 'gate', { label: 'b' })
  await submit(app, 'gate', { label: 'later' }, { delay: '1h' })
  await gate.arrived('a')
  t.match(await counts(), { running: 1, queued: 1, scheduled: 1, completed: 0 })
  gate.release('a')
  await gate.arrived('b')
  t.match(await counts(), { running: 1, queued: 0, scheduled: 1, completed: 1 })
})

t.test('a disabled worker refuses submits and keeps what is queued, until enabled', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  await submit(app, 'gate', { label: 'running' })
  await submit(app, 'gate', { label: 'queued' })
  await gate.arrived('running')
  const patch = (payload: object) => app.inject({ method: 'PATCH', url: '/workers/gate', payload })

  const disabled = await patch({ status: 'disabled' })
  t.equal(disabled.statusCode, 200)
  t.match(disabled.json(), { name: 'gate', status: 'disabled' })
  for (const [url, payload] of [
    ['/workers/gate', {}],
    ['/workers/gate/batch', [{}]],
    ['/tasks', { worker: 'gate', input: {} }],
  ] as const) {
    isProblem(t, await app.inject({ method: 'POST', url, payload }), 'worker-disabled')
  }
  gate.release('running')
  const counts = async () => (await app.inject('/workers/gate')).json<WorkerJson>().counts
  await until(async () => (await counts()).completed === 1)
  t.match(await counts(), { running: 0, queued: 1 }, 'the queued task did not start')

  t.match((await patch({ status: 'enabled' })).json(), { status: 'enabled' })
  await gate.arrived('queued')
  t.strictSame(gate.begun, ['running', 'queued'])
})

t.test('a raised maxNumTasks lets queued tasks start at once, a lowered one holds', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  for (const label of ['a', 'b', 'c', 'd']) await submit(app, 'gate', { label })
  await gate.arrived('a')
  const patch = (maxNumTasks: number) =>
    app.inject({ method: 'PATCH', url: '/workers/gate', payload: { maxNumTasks } })

  t.match((await patch(3)).json(), { maxNumTasks: 3, status: 'enabled' })
  await gate.arrived('c')
  t.strictSame(gate.begun, ['a', 'b', 'c'])

  await patch(1)
  gate.release('a')
  gate.release('b')
  const read = async () => (await app.inject('/workers/gate')).json<WorkerJson>()
  await until(async () => (await read()).counts.completed === 2)
  t.match(await read(), { maxNumTasks: 1, counts: { running: 1, queued: 1 } })
  gate.release('c')
  await gate.arrived('d')
})

t.test('bad changes to a worker are refused and change nothing', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const payload of [
    {},
    { status: 'on' },
    { status: null },
    { status: true },
    { maxNumTasks: 0 },
    { maxNumTasks: -1 },
    { maxNumTasks: 1.5 },
    { maxNumTasks: '3' },
    { maxNumTasks: 100_001 },
    { maxNumTasks: 3, unknown: true },
    { maxNumTasks: 3, status: 'off' },
    [],
    'disabled',
    1,
  ]) {
    const response = await app.inject({
      method: 'PATCH',
      url: '/workers/echo',
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify(payload),
    })
    isProblem(t, response, 'invalid-request')
  }
  isProblem(t, await app.inject({ method: 'PATCH', url: '/workers/echo' }), 'invalid-request')
  t.match((await app.inject('/workers/echo')).json(), { status: 'enabled', maxNumTasks: 10 })
})
