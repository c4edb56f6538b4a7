import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { echo, failing, Gate, isProblem, makeApp, settled, submit, type TaskJson } from '../app.ts'

const SHORT = ['attempt', 'createdAt', 'id', 'priority', 'status', 'worker']
const FORMS = ['', '/status', '/result'] as const

/** The status code and body of the three forms of a task. */
async function forms(app: FastifyInstance, id: string) {
  const [whole, short, result] = await Promise.all(
    FORMS.map((form) => app.inject(`/tasks/${id}${form}`)),
  )
  if (whole === undefined || short === undefined || result === undefined) throw new Error('three')
  return { whole, short, result }
}

t.test('a scheduled task', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' }, { delay: '1h' })
  const { whole, short, result } = await forms(app, id)
  t.equal(whole.statusCode, 200)
  t.match(whole.json(), { id, status: 'scheduled', attempt: 0, input: { text: 'a', times: 1 } })
  t.equal(short.statusCode, 200)
  t.strictSame(Object.keys(short.json<TaskJson>()).sort(), [...SHORT, 'runAt'].sort())
  t.equal(result.statusCode, 202)
  t.equal(result.headers.location, `/tasks/${id}`)
  t.strictSame(result.json(), short.json())
})

t.test('a queued and a running task', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  const running = await submit(app, 'gate', { label: 'a' })
  const queued = await submit(app, 'gate', { label: 'b' })
  const context = await gate.arrived('a')
  context.progress(1, 4, 'a quarter')

  const queue = await forms(app, queued.id)
  t.strictSame(Object.keys(queue.short.json<TaskJson>()).sort(), SHORT)
  t.match(queue.whole.json(), { status: 'queued', input: { label: 'b' } })
  t.equal(queue.result.statusCode, 202)

  const run = await forms(app, running.id)
  t.match(run.whole.json(), {
    status: 'running',
    attempt: 1,
    progress: { done: 1, total: 4, message: 'a quarter' },
    startedAt: String,
  })
  t.notOk('input' in run.short.json<TaskJson>())
  t.equal(run.result.statusCode, 202)
  for (const member of ['output', 'error', 'finishedAt', 'durationMs'])
    t.notOk(member in run.whole.json<TaskJson>(), member)
})

t.test('a completed task', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  await settled(app, id)
  const { whole, short, result } = await forms(app, id)
  const times = { createdAt: String, startedAt: String, finishedAt: String, durationMs: Number }
  t.match(whole.json(), { id, status: 'completed', output: { text: 'a' }, attempt: 1, ...times })
  t.match(whole.json(), { input: { text: 'a' } })
  t.match(short.json(), { id, status: 'completed', ...times })
  t.equal(result.statusCode, 200)
  t.match(result.json(), { id, status: 'completed', output: { text: 'a' }, ...times })
  for (const member of ['input', 'output', 'error']) t.notOk(member in short.json<TaskJson>())
  t.notOk('error' in whole.json<TaskJson>())
  t.notOk('input' in result.json<TaskJson>())
})

t.test('a failed task', async (t) => {
  const app = await makeApp(t, { workers: [failing] })
  const { id } = await submit(app, 'failing', { retryable: false })
  await settled(app, id)
  const { whole, short, result } = await forms(app, id)
  const error = { code: 'no-luck', message: 'It was not to be.', retryable: false }
  t.match(whole.json(), { status: 'failed', error })
  t.equal(result.statusCode, 200)
  t.match(result.json(), { status: 'failed', error })
  t.notOk('output' in result.json<TaskJson>())
  t.notOk('error' in short.json<TaskJson>())
})

t.test('every kind of output arrives as it was', async (t) => {
  const outputs = [null, false, 0, '', [], {}, [1, 'a', null], { a: { b: ['ü€😀'] } }, 1e300]
  const teller = {
    name: 'teller',
    details: { description: 'Tells', input: { type: 'integer' } },
    perform: (i: number) => outputs[i],
  }
  const app = await makeApp(t, { workers: [teller] })
  for (const [i, output] of outputs.entries()) {
    const { id } = await submit(app, 'teller', i)
    const task = await settled(app, id)
    t.ok('output' in task)
    t.strictSame(task.output, output)
    t.equal(task.input, i)
  }
})

t.test('an unknown task is 404 on every address', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const id of [
    'nope',
    'a'.repeat(21),
    'constructor',
    '__proto__',
    '%00',
    '..%2f..',
    '%F0%9F%98%80',
  ]) {
    for (const path of [...FORMS, '/logs', '/logs?follow', '/events', '?wait=5'])
      isProblem(t, await app.inject(`/tasks/${id}${path}`), 'unknown-task')
    for (const action of ['cancel', 'pause', 'resume', 'restart']) {
      const url = `/tasks/${id}/${action}`
      isProblem(t, await app.inject({ method: 'POST', url }), 'unknown-task')
    }
    isProblem(t, await app.inject({ method: 'DELETE', url: `/tasks/${id}` }), 'unknown-task')
  }
})

t.test('unknown members of the query are refused on every address', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  for (const path of [...FORMS, '/logs'])
    isProblem(t, await app.inject(`/tasks/${id}${path}?wiat=1`), 'invalid-request')
  const cancel = { method: 'POST', url: `/tasks/${id}/cancel?wiat=1` } as const
  isProblem(t, await app.inject(cancel), 'invalid-request')
})

t.test('a finished task is forgotten: 204, and then it is unknown', async (t) => {
  const app = await makeApp(t, { workers: [echo, failing] })
  for (const [worker, input] of [
    ['echo', { text: 'a' }],
    ['failing', { retryable: false }],
  ] as const) {
    const { id } = await submit(app, worker, input)
    await settled(app, id)
    const remove = () => app.inject({ method: 'DELETE', url: `/tasks/${id}` })
    const response = await remove()
    t.equal(response.statusCode, 204)
    t.equal(response.body, '')
    isProblem(t, await app.inject(`/tasks/${id}`), 'unknown-task')
    isProblem(t, await remove(), 'unknown-task')
  }
  t.strictSame((await app.inject('/tasks')).json(), { tasks: [] })
})

t.test('a task that has not finished is not forgotten', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const stubborn = new Gate('stubborn', { stubborn: true })
  const app = await makeApp(t, { gates: [gate, stubborn] })
  const running = await submit(app, 'gate', { label: 'a' })
  const queued = await submit(app, 'gate', { label: 'b' })
  const scheduled = await submit(app, 'gate', {}, { delay: '1h' })
  const canceling = await submit(app, 'stubborn')
  await Promise.all([gate.arrived('a'), stubborn.arrived()])
  await app.inject({ method: 'POST', url: `/tasks/${canceling.id}/cancel` })
  for (const [status, { id }] of Object.entries({ running, queued, scheduled, canceling })) {
    const response = await app.inject({ method: 'DELETE', url: `/tasks/${id}` })
    t.match(isProblem(t, response, 'task-not-finished').detail, status)
    t.equal((await app.inject(`/tasks/${id}`)).json<TaskJson>().status, status)
  }
})
