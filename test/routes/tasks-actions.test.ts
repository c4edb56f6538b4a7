import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ACTIONS, type Action } from '../../src/task/lifecycle.ts'
import { echo, failing, Gate, isProblem, makeApp, settled, submit, type TaskJson } from '../app.ts'

function act(app: FastifyInstance, id: string, action: Action, query = '') {
  return app.inject({ method: 'POST', url: `/tasks/${id}/${action}${query}` })
}

async function statusOf(app: FastifyInstance, id: string) {
  return (await app.inject(`/tasks/${id}/status`)).json<TaskJson>().status
}

t.test('a queued and a scheduled task are canceled at once', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  await submit(app, 'gate', { label: 'busy' })
  const queued = await submit(app, 'gate', { label: 'queued' })
  const scheduled = await submit(app, 'gate', { label: 'scheduled' }, { delay: '50ms' })
  for (const { id } of [queued, scheduled]) {
    const response = await act(app, id, 'cancel')
    t.equal(response.statusCode, 200)
    t.match(response.json(), {
      id,
      status: 'canceled',
      attempt: 0,
      finishedAt: String,
      error: { code: 'canceled', message: String, retryable: false },
    })
    for (const member of ['output', 'startedAt', 'durationMs', 'runAt'])
      t.notOk(member in response.json<TaskJson>(), member)
  }
  gate.release('busy')
  const last = await submit(app, 'gate', { label: 'last' }, { delay: '60ms' })
  await gate.arrived('last')
  gate.release('last')
  await settled(app, last.id)
  t.strictSame(gate.begun, ['busy', 'last'], 'what was canceled never ran')
})

t.test('a running task is told, and is canceled once its worker lets go', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  const { signal } = await gate.arrived()
  const response = await act(app, id, 'cancel', '?wait=10')
  t.equal(response.statusCode, 200)
  t.equal(response.headers['preference-applied'], 'wait=10')
  t.match(response.json(), { id, status: 'canceled', attempt: 1, error: { code: 'canceled' } })
  t.equal(signal.reason.name, 'TaskCanceled')
})

t.test('a worker that does not let go: 202 canceling, as often as it is asked', async (t) => {
  const gate = new Gate('gate', { stubborn: true })
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  for (const query of ['', '', '?wait=0.02']) {
    const response = await act(app, id, 'cancel', query)
    t.equal(response.statusCode, 202)
    t.match(response.json(), { id, status: 'canceling' })
    t.equal(response.headers.location, `/tasks/${id}`)
  }
  gate.release()
  t.match(await settled(app, id), { status: 'completed', output: { label: '' } })
})

t.test('a paused task waits at its checkpoint, and goes on when resumed', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  const paused = await act(app, id, 'pause')
  t.equal(paused.statusCode, 202)
  t.match(paused.json(), { id, status: 'paused' })
  gate.release()
  const held = await app.inject(`/tasks/${id}?wait=0.05`)
  t.equal(held.statusCode, 202)
  t.equal(held.json<TaskJson>().status, 'paused')

  const resumed = await act(app, id, 'resume', '?wait=10')
  t.equal(resumed.statusCode, 200)
  t.match(resumed.json(), { id, status: 'completed', output: { label: '' } })
})

t.test('a paused task can be canceled', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  await act(app, id, 'pause')
  const canceled = await act(app, id, 'cancel', '?wait=10')
  t.equal(canceled.statusCode, 200)
  t.match(canceled.json(), { status: 'canceled' })
})

t.test('a finished task is restarted as a new one, that names it', async (t) => {
  const app = await makeApp(t, { workers: [echo, failing] })
  const options = { tags: 'a,b', priority: '7', timeout: '5s', retry: '2' }
  const first = await submit(app, 'echo', { text: 'a' }, options)
  await settled(app, first.id)
  const response = await act(app, first.id, 'restart', '?wait=10')
  t.equal(response.statusCode, 200)
  const again = response.json<TaskJson>()
  t.not(again.id, first.id)
  t.match(again, {
    restartOf: first.id,
    status: 'completed',
    output: { text: 'a' },
    tags: ['a', 'b'],
    priority: 7,
  })
  t.match(await settled(app, again.id), { timeoutMs: 5_000, retry: { retries: 2 } })
  t.match(await settled(app, first.id), { id: first.id, restartOf: undefined })

  const failed = await submit(app, 'failing', { retryable: false })
  await settled(app, failed.id)
  const accepted = await act(app, failed.id, 'restart')
  t.equal(accepted.statusCode, 202)
  t.match(accepted.json(), { restartOf: failed.id, status: 'queued', attempt: 0 })
  t.equal(accepted.headers.location, `/tasks/${accepted.json<TaskJson>().id}`)
})

t.test('every action in every status where it is not allowed is 409', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 2 })
  const stubborn = new Gate('stubborn', { stubborn: true })
  const app = await makeApp(t, { workers: [echo, failing], gates: [gate, stubborn] })
  const tasks = {
    running: await submit(app, 'gate', { label: 'running' }),
    paused: await submit(app, 'gate', { label: 'paused' }),
    queued: await submit(app, 'gate', { label: 'queued' }),
    scheduled: await submit(app, 'gate', { label: 'scheduled' }, { delay: '1h' }),
    canceled: await submit(app, 'gate', { label: 'canceled' }),
    canceling: await submit(app, 'stubborn'),
    completed: await submit(app, 'echo', { text: 'a' }),
    failed: await submit(app, 'failing', { retryable: false }),
  }
  await Promise.all([gate.arrived('paused'), stubborn.arrived()])
  await act(app, tasks.paused.id, 'pause')
  await act(app, tasks.canceled.id, 'cancel')
  await act(app, tasks.canceling.id, 'cancel')
  await Promise.all([settled(app, tasks.completed.id), settled(app, tasks.failed.id)])
  const forbidden = {
    scheduled: ['pause', 'resume', 'restart'],
    queued: ['pause', 'resume', 'restart'],
    running: ['resume'],
    paused: ['pause'],
    canceling: ['pause', 'resume'],
    completed: ['cancel', 'pause', 'resume'],
    failed: ['cancel', 'pause', 'resume'],
    canceled: ['cancel', 'pause', 'resume'],
  } as const
  for (const [status, { id }] of Object.entries(tasks)) {
    for (const action of forbidden[status as keyof typeof forbidden]) {
      t.comment(`${action} of a ${status} task`)
      const { detail } = isProblem(t, await act(app, id, action), 'action-not-allowed')
      t.match(detail, status)
      t.match(detail, id)
      t.equal(await statusOf(app, id), status)
    }
  }
})

t.test('an action that the worker does not take is 409 with another code', async (t) => {
  const stubborn = new Gate('stubborn', { stubborn: true })
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate, stubborn] })
  const unpausable = await submit(app, 'stubborn')
  const running = await submit(app, 'gate')
  await Promise.all([gate.arrived(), stubborn.arrived()])
  isProblem(t, await act(app, unpausable.id, 'pause'), 'action-refused')
  isProblem(t, await act(app, running.id, 'restart'), 'action-refused')
  t.equal(await statusOf(app, unpausable.id), 'running')
  t.equal(await statusOf(app, running.id), 'running')
})

t.test('a worker’s own signal says what it takes', async (t) => {
  const gate = new Gate()
  const told: Action[] = []
  const picky = {
    ...gate.worker,
    signal: (action: Action) => {
      told.push(action)
      return action === 'restart'
    },
  }
  const app = await makeApp(t, { workers: [picky] })
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  for (const action of ['cancel', 'pause'] as const)
    isProblem(t, await act(app, id, action), 'action-refused')
  t.equal((await act(app, id, 'restart')).statusCode, 202)
  t.strictSame(told, ['cancel', 'pause', 'restart'])
  gate.open()
  t.match(await settled(app, id), { status: 'completed' })
})

t.test('an unknown action is nothing that there is, and a known one is no page', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  for (const action of ['stop', 'Cancel', 'cancel/', ''])
    isProblem(t, await app.inject({ method: 'POST', url: `/tasks/${id}/${action}` }), 'not-found')
  for (const action of ACTIONS) {
    const response = await app.inject(`/tasks/${id}/${action}`)
    isProblem(t, response, 'method-not-allowed')
    t.equal(response.headers.allow, 'POST')
  }
})

t.test('a bad wait is refused before anything is done', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  isProblem(t, await act(app, id, 'cancel', '?wait=61'), 'invalid-wait')
  t.equal(await statusOf(app, id), 'running')
})
