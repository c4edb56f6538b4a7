import t from 'tap'
import { echo, Gate, isProblem, makeApp, settled, type TaskJson } from '../app.ts'

interface TaskList {
  tasks: TaskJson[]
}

t.test('a batch answers 202 with its tasks, in the order of the inputs', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const response = await app.inject({
    method: 'POST',
    url: '/workers/echo/batch?tags=a,b&priority=7',
    payload: [{ text: 'x' }, { text: 'y' }, { text: 'z' }],
  })
  t.equal(response.statusCode, 202)
  const { tasks } = response.json<TaskList>()
  t.equal(tasks.length, 3)
  t.equal(new Set(tasks.map(({ id }) => id)).size, 3)
  for (const [i, text] of ['x', 'y', 'z'].entries()) {
    const task = await settled(app, tasks[i]?.id ?? '')
    t.match(task, { output: { text }, tags: ['a', 'b'], priority: 7 })
  }
})

t.test('a batch may hold 1,000 inputs and not one more', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const post = (size: number) =>
    app.inject({
      method: 'POST',
      url: '/workers/echo/batch',
      payload: Array.from({ length: size }, () => ({ text: 'a' })),
    })
  isProblem(t, await post(1_001), 'invalid-request')
  t.strictSame((await app.inject('/tasks')).json<TaskList>().tasks, [])
  const response = await post(1_000)
  t.equal(response.statusCode, 202)
  t.equal(response.json<TaskList>().tasks.length, 1_000)
})

t.test('a batch is all or nothing, and the error names the input by its place', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { workers: [echo], gates: [gate] })
  const response = await app.inject({
    method: 'POST',
    url: '/workers/echo/batch',
    payload: [{ text: 'x' }, { text: 'y' }, { text: 3 }, { text: 'z' }],
  })
  const problem = isProblem(t, response, 'invalid-input')
  t.strictSame(
    problem.errors?.map(({ path }) => path),
    ['/2/text'],
  )
  t.match(problem.detail, /\b2\b/)
  t.strictSame((await app.inject('/tasks')).json<TaskList>().tasks, [])
})

t.test('what is no list of inputs is no batch', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const payload of ['[]', '{}', '{"text":"a"}', '"a"', 'null', '1']) {
    const headers = { 'content-type': 'application/json' }
    const url = '/workers/echo/batch'
    isProblem(t, await app.inject({ method: 'POST', url, headers, payload }), 'invalid-request')
  }
  const empty = await app.inject({ method: 'POST', url: '/workers/echo/batch' })
  isProblem(t, empty, 'invalid-request')
})

t.test('a batch for no worker is 404', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const post = { method: 'POST', url: '/workers/ecko/batch', payload: [{ text: 'a' }] } as const
  t.match(isProblem(t, await app.inject(post), 'unknown-worker').detail, 'Did you mean echo?')
})

t.test('a batch does not wait, and says so', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const payload = [{ text: 'a' }]
  const post = (url: string, headers = {}) => app.inject({ method: 'POST', url, headers, payload })
  isProblem(t, await post('/workers/echo/batch?wait=1'), 'invalid-wait')
  isProblem(t, await post('/workers/echo/batch', { prefer: 'wait=1' }), 'invalid-wait')
  t.strictSame((await app.inject('/tasks')).json<TaskList>().tasks, [])
})

t.test('a batch that does not fit the queue is refused whole', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate], maxQueued: 3 })
  const post = (size: number, query = '') =>
    app.inject({
      method: 'POST',
      url: `/workers/gate/batch${query}`,
      payload: Array.from({ length: size }, () => ({})),
    })
  t.notOk('retry-after' in (await post(4)).headers)
  isProblem(t, await post(4), 'batch-too-large')
  isProblem(t, await post(2, '?onLimit=reject'), 'batch-too-large')
  t.strictSame((await app.inject('/tasks')).json<TaskList>().tasks, [])
  t.equal((await post(3)).statusCode, 202)
  isProblem(t, await post(2), 'queue-full')
})
