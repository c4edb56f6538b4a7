import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { echo, failing, Gate, isProblem, makeApp, settled, submit, type TaskJson } from '../app.ts'

const inMs = (ms: number) => new Date(Date.now() + ms).toISOString()

function post(app: FastifyInstance, worker: string, query: { [option: string]: string }) {
  return app.inject({ method: 'POST', url: `/workers/${worker}`, query, payload: {} })
}

async function read(app: FastifyInstance, id: string): Promise<TaskJson> {
  return (await app.inject(`/tasks/${id}`)).json<TaskJson>()
}

t.test('priority: the highest first, equals in the order they came', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  await submit(app, 'gate', { label: 'first' })
  await gate.arrived('first')
  for (const [label, priority] of [
    ['low', '0'],
    ['normal', undefined],
    ['high-a', '9'],
    ['high-b', '9'],
    ['five', '5'],
  ] as const) {
    await submit(app, 'gate', { label }, priority === undefined ? {} : { priority })
  }
  gate.open()
  await gate.arrived('low')
  t.strictSame(gate.begun, ['first', 'high-a', 'high-b', 'five', 'normal', 'low'])
})

t.test('delay: scheduled, then performed and not before', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const before = Date.now()
  const task = await submit(app, 'echo', { text: 'a' }, { delay: '60ms' })
  t.equal(task.status, 'scheduled')
  const due = Date.parse(task.runAt ?? '')
  t.ok(due >= before + 60 && due <= Date.now() + 60, 'runAt is the delay from now')
  const done = await settled(app, task.id)
  t.equal(done.status, 'completed')
  t.ok(Date.parse(done.startedAt ?? '') >= due, 'it started when it was due')
  t.notOk('runAt' in done)
})

t.test('delay: in every unit', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const [delay, ms] of [
    ['90000', 90_000],
    ['90000ms', 90_000],
    ['90s', 90_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ] as const) {
    const { createdAt, runAt } = await submit(app, 'echo', { text: 'a' }, { delay })
    const off = Date.parse(runAt ?? '') - Date.parse(createdAt) - ms
    t.ok(Math.abs(off) < 1_000, `${delay} is ${ms} ms`)
  }
})

t.test('runAt: as given in the future, at once in the past', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const runAt = '2999-01-31T12:00:00.250Z'
  t.match(await submit(app, 'echo', { text: 'a' }, { runAt }), { status: 'scheduled', runAt })
  const offset = await submit(app, 'echo', { text: 'a' }, { runAt: '2999-01-31T12:00:00+02:00' })
  t.equal(offset.runAt, '2999-01-31T10:00:00.000Z')
  const past = await submit(app, 'echo', { text: 'a' }, { runAt: '2001-01-01T00:00:00Z' })
  t.match(past, { status: 'queued', runAt: undefined })
  t.equal((await settled(app, past.id)).status, 'completed')
})

t.test('timeout: the attempt is told to end and fails', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate', {}, { timeout: '30ms' })
  const task = await settled(app, id)
  t.match(task, { status: 'failed', error: { code: 'timeout', retryable: true }, timeoutMs: 30 })
  t.notOk('output' in task)
})

t.test('deadline: fails while it runs', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const deadline = inMs(300)
  const { id } = await submit(app, 'gate', {}, { deadline })
  await gate.arrived()
  const task = await settled(app, id)
  t.match(task, { status: 'failed', attempt: 1, error: { code: 'deadline-exceeded' }, deadline })
})

t.test('deadline: fails while it queues, without an attempt', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  await submit(app, 'gate', { label: 'busy' })
  const { id } = await submit(app, 'gate', { label: 'late' }, { deadline: inMs(300) })
  const task = await settled(app, id)
  t.match(task, { status: 'failed', attempt: 0, error: { code: 'deadline-exceeded' } })
  t.notOk('startedAt' in task)
  t.strictSame(gate.begun, ['busy'])
})

t.test('retry: as a number and as a policy', async (t) => {
  const app = await makeApp(t, { workers: [failing] })
  const policy = JSON.stringify({ retries: 2, delayMs: 1, jitter: 0 })
  const lucky = await submit(app, 'failing', { failures: 2 }, { retry: policy })
  t.match(await settled(app, lucky.id), { status: 'completed', attempt: 3, output: 3 })

  const unlucky = await submit(app, 'failing', { failures: 3 }, { retry: policy })
  const failed = await settled(app, unlucky.id)
  t.match(failed, { status: 'failed', attempt: 3, error: { code: 'no-luck' } })
  t.strictSame(failed.retry, { retries: 2, delayMs: 1, jitter: 0 })

  const hopeless = await submit(app, 'failing', { retryable: false }, { retry: '5' })
  t.match(await settled(app, hopeless.id), { attempt: 1, retry: { retries: 5 } })
})

t.test('retry: between two attempts the task is queued, with its error and when', async (t) => {
  const app = await makeApp(t, { workers: [failing] })
  const retry = JSON.stringify({ retries: 1, delayMs: 600_000, jitter: 0 })
  const response = await app.inject({
    method: 'POST',
    url: '/workers/failing',
    query: { retry, wait: '0.1' },
    payload: {},
  })
  t.equal(response.statusCode, 202, 'it has not settled')
  const { id } = response.json<TaskJson>()
  const task = await read(app, id)
  t.match(task, { status: 'queued', attempt: 1, error: { code: 'no-luck' }, runAt: String })
})

t.test('tags: trimmed, each once, in their order', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const tags = async (text: string) =>
    (await submit(app, 'echo', { text: 'a' }, { tags: text })).tags
  t.strictSame(await tags('b, a ,b'), ['b', 'a'])
  t.strictSame(await tags('a b/ü=1'), ['a b/ü=1'])
  t.strictSame(await tags('x'.repeat(100)), ['x'.repeat(100)])
  t.equal((await tags(Array.from({ length: 20 }, (_, i) => i).join()))?.length, 20)
})

t.test('onLimit=reject: 429 and when to try again, but only where no slot is free', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  t.equal((await post(app, 'gate', { onLimit: 'reject' })).statusCode, 202)
  await gate.arrived()
  const refused = await post(app, 'gate', { onLimit: 'reject' })
  isProblem(t, refused, 'limit-reached')
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
  const inBody = { worker: 'gate', onLimit: 'reject' }
  const viaTasks = await app.inject({ method: 'POST', url: '/tasks', payload: inBody })
  isProblem(t, viaTasks, 'limit-reached')
  t.equal((await post(app, 'gate', { onLimit: 'queue' })).statusCode, 202)
  t.equal((await post(app, 'gate', {})).statusCode, 202)
})

t.test('a full queue: 429 and when to try again; scheduled tasks count', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate], maxQueued: 2 })
  await submit(app, 'gate')
  await gate.arrived()
  await submit(app, 'gate')
  await submit(app, 'gate', {}, { delay: '1h' })
  const refused = await post(app, 'gate', {})
  t.match(isProblem(t, refused, 'queue-full').detail, /\b2\b/)
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
})

t.test('POST /tasks takes the same options as fields', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const deadline = inMs(3_600_000)
  const response = await app.inject({
    method: 'POST',
    url: '/tasks',
    payload: {
      worker: 'echo',
      input: { text: 'a' },
      priority: 8,
      delay: '1m',
      timeout: 1_500,
      deadline,
      retry: { retries: 3, factor: 1.5 },
      tags: ['x', 'y', 'x'],
      onLimit: 'queue',
      idempotencyKey: 'k',
    },
  })
  t.equal(response.statusCode, 202)
  t.match(await read(app, response.json<TaskJson>().id), {
    status: 'scheduled',
    priority: 8,
    timeoutMs: 1_500,
    deadline,
    retry: { retries: 3, factor: 1.5 },
    tags: ['x', 'y'],
  })
  const more = { worker: 'echo', input: { text: 'a' }, retry: 2, delay: 0, timeout: '2s' }
  const second = await app.inject({ method: 'POST', url: '/tasks', payload: more })
  const { id } = second.json<TaskJson>()
  t.match(await read(app, id), { retry: { retries: 2 }, timeoutMs: 2_000 })
})
