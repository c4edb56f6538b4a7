import { once } from 'node:events'
import { request } from 'node:http'
import t from 'tap'
import {
  echo,
  failing,
  Gate,
  isProblem,
  listen,
  makeApp,
  settled,
  submit,
  type TaskJson,
} from '../app.ts'

const SHORT = ['attempt', 'createdAt', 'id', 'priority', 'status', 'worker']

t.test('a submit answers 202 with the short form and where to ask again', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const response = await app.inject({
    method: 'POST',
    url: '/workers/echo',
    payload: { text: 'a' },
  })
  t.equal(response.statusCode, 202)
  const task = response.json<TaskJson>()
  t.strictSame(Object.keys(task).sort(), SHORT)
  t.match(task, { worker: 'echo', status: 'queued', attempt: 0, priority: 4 })
  t.match(task.id, /^[\w-]{21}$/)
  t.match(task.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.equal(response.headers.location, `/tasks/${task.id}`)
  t.notOk('idempotent-replayed' in response.headers)
  t.notOk('preference-applied' in response.headers)
  t.match(await settled(app, task.id), { status: 'completed', output: { text: 'a' } })
})

t.test('each submit is a task of its own', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const ids = await Promise.all(
    Array.from({ length: 50 }, async () => (await submit(app, 'echo', { text: 'a' })).id),
  )
  t.equal(new Set(ids).size, 50)
})

t.test('with a wait, the answer is 200 with the output of the settled task', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const response = await app.inject({
    method: 'POST',
    url: '/workers/echo?wait=10',
    payload: { text: 'ab', times: 2 },
  })
  t.equal(response.statusCode, 200)
  t.equal(response.headers['preference-applied'], 'wait=10')
  const task = response.json<TaskJson>()
  t.match(task, {
    status: 'completed',
    attempt: 1,
    output: { text: 'abab' },
    startedAt: String,
    finishedAt: String,
    durationMs: Number,
  })
  t.notOk('input' in task)
  t.notOk('error' in task)
})

t.test('with a wait, a failed task is 200 with its error and no output', async (t) => {
  const app = await makeApp(t, { workers: [failing] })
  const response = await app.inject({
    method: 'POST',
    url: '/workers/failing?wait=10',
    payload: { retryable: false },
  })
  t.equal(response.statusCode, 200)
  const task = response.json<TaskJson>()
  t.strictSame(task.error, { code: 'no-luck', message: 'It was not to be.', retryable: false })
  t.equal(task.status, 'failed')
  t.notOk('output' in task)
})

t.test('at the deadline of the wait, the answer is 202 and the task goes on', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const response = await app.inject({ method: 'POST', url: '/workers/gate?wait=0.05', payload: {} })
  t.equal(response.statusCode, 202)
  const task = response.json<TaskJson>()
  t.equal(task.status, 'running')
  t.equal(response.headers.location, `/tasks/${task.id}`)
  t.equal(response.headers['preference-applied'], 'wait=0.05')
  t.notOk('output' in task)
  gate.release()
  t.match(await settled(app, task.id), { status: 'completed' })
})

t.test('a client that hangs up cancels nothing', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const client = request(`${url}/workers/gate?wait=30`, { method: 'POST' })
  const failed = once(client, 'error')
  client.setHeader('content-type', 'application/json').end('{}')
  client.on('error', () => {})
  const { id, signal } = await gate.arrived()
  client.destroy(new Error('enough'))
  await failed
  gate.release()
  t.match(await settled(app, id), { status: 'completed', output: { label: '' } })
  t.equal(signal.aborted, false)
})

t.test('input is checked before it is taken, with the member at fault', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const [payload, path] of [
    [{}, '/text'],
    [{ text: 1 }, '/text'],
    [{ text: 'a', times: 0 }, '/times'],
    [{ text: 'a', times: '2' }, '/times'],
    [{ text: 'a', txet: 'b' }, '/txet'],
    [[], ''],
    ['a', ''],
    [null, ''],
  ] as const) {
    const response = await app.inject({
      method: 'POST',
      url: '/workers/echo',
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify(payload),
    })
    const problem = isProblem(t, response, 'invalid-input')
    t.equal(problem.errors?.[0]?.path, path, JSON.stringify(payload))
  }
  t.strictSame((await app.inject('/tasks')).json(), { tasks: [] })
})

t.test('the defaults of the schema are part of the input', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  t.strictSame((await settled(app, id)).input, { text: 'a', times: 1 })
})

t.test('a body may be left out where the input may be empty, and only there', async (t) => {
  const app = await makeApp(t, { workers: [echo, failing] })
  const post = (url: string) => app.inject({ method: 'POST', url })
  t.equal((await post('/workers/failing')).statusCode, 202)
  isProblem(t, await post('/workers/echo'), 'invalid-input')
})

t.test('a new member of the query is refused, not ignored', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const url of ['/workers/echo', '/workers/echo/batch', '/tasks', '/workers/none']) {
    const response = await app.inject({
      method: 'POST',
      url: `${url}?prioritty=9`,
      payload: url.endsWith('batch') ? [{ text: 'a' }] : { worker: 'echo', input: { text: 'a' } },
    })
    const problem = isProblem(t, response, 'invalid-request')
    // What goes into the body of POST /tasks is no member of its query.
    const hint = url === '/tasks' ? '' : ' (did you mean priority?)'
    t.strictSame(problem.errors, [{ path: '/prioritty', message: `is not known here${hint}` }])
  }
})

t.test('POST /tasks takes worker, input and wait as the worker’s own address does', async (t) => {
  const app = await makeApp(t, { workers: [echo, failing] })
  const post = (payload: object, url = '/tasks') => app.inject({ method: 'POST', url, payload })
  const accepted = await post({ worker: 'echo', input: { text: 'a' } })
  t.equal(accepted.statusCode, 202)
  t.strictSame(Object.keys(accepted.json<TaskJson>()).sort(), SHORT)
  t.equal(accepted.headers.location, `/tasks/${accepted.json<TaskJson>().id}`)

  const held = await post({ worker: 'echo', input: { text: 'a' } }, '/tasks?wait=10')
  t.equal(held.statusCode, 200)
  t.match(held.json(), { status: 'completed', output: { text: 'a' } })

  t.equal((await post({ worker: 'failing' })).statusCode, 202, 'the input may be left out')
  isProblem(t, await post({ worker: 'echo' }), 'invalid-input')
  isProblem(t, await post({ worker: 'echo', input: { text: 1 } }), 'invalid-input')
  isProblem(t, await post({ worker: 'ecko', input: {} }), 'unknown-worker')
})

t.test('POST /tasks refuses what is not its body', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const payload of ['{}', '[]', '"echo"', 'null', '{"worker":1}', '{"worker":null}']) {
    const headers = { 'content-type': 'application/json' }
    isProblem(
      t,
      await app.inject({ method: 'POST', url: '/tasks', headers, payload }),
      'invalid-request',
    )
  }
  const payload = { worker: 'echo', input: { text: 'a' }, wait: 1 }
  const response = await app.inject({ method: 'POST', url: '/tasks', payload })
  t.equal(isProblem(t, response, 'invalid-request').errors?.[0]?.path, '/wait')
})
