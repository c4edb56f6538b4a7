import t from 'tap'
import { echo, failing, Gate, isProblem, makeApp, settled, submit, type TaskJson } from '../app.ts'

type App = Awaited<ReturnType<typeof makeApp>>

interface TaskList {
  tasks: TaskJson[]
}

function post(app: App, url: string, key: string, payload: object) {
  return app.inject({ method: 'POST', url, headers: { 'idempotency-key': key }, payload })
}

async function taskCount(app: App): Promise<number> {
  return (await app.inject('/tasks?limit=500')).json<TaskList>().tasks.length
}

t.test('the same key and input yield the first task again, and say so', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const first = await post(app, '/workers/gate', 'k', { label: 'a' })
  t.equal(first.statusCode, 202)
  t.notOk('idempotent-replayed' in first.headers)
  await gate.arrived('a')

  const again = await post(app, '/workers/gate', 'k', { label: 'a' })
  t.equal(again.statusCode, 202)
  t.equal(again.headers['idempotent-replayed'], 'true')
  const { id } = first.json<TaskJson>()
  t.match(again.json(), { id, status: 'running' })
  t.equal(again.headers.location, `/tasks/${id}`)

  gate.release('a')
  await settled(app, id)
  const late = await post(app, '/workers/gate?wait=10', 'k', { label: 'a' })
  t.equal(late.statusCode, 200)
  t.equal(late.headers['idempotent-replayed'], 'true')
  t.match(late.json(), { id, status: 'completed', output: { label: 'a' } })
  t.equal(await taskCount(app), 1)
})

t.test('inputs are compared by what they mean', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const first = await post(app, '/workers/echo', 'k', { text: 'a' })
  const { id } = first.json<TaskJson>()
  for (const payload of [
    { text: 'a', times: 1 },
    { times: 1, text: 'a' },
  ]) {
    t.match((await post(app, '/workers/echo', 'k', payload)).json(), { id })
  }
})

t.test('the same key with another input is refused and makes no task', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  await post(app, '/workers/echo', 'k', { text: 'a' })
  const other = await post(app, '/workers/echo', 'k', { text: 'b' })
  t.match(isProblem(t, other, 'idempotency-mismatch').detail, '"k"')
  t.equal(await taskCount(app), 1)
})

t.test('a key belongs to its worker', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { workers: [failing], gates: [gate] })
  const one = await post(app, '/workers/failing', 'k', {})
  const other = await post(app, '/workers/gate', 'k', {})
  t.equal(other.statusCode, 202)
  t.notOk('idempotent-replayed' in other.headers)
  t.not(one.json<TaskJson>().id, other.json<TaskJson>().id)
})

t.test('equal submits at once make one task', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => post(app, '/workers/echo?wait=10', 'k', { text: 'a' })),
  )
  t.equal(new Set(answers.map((answer) => answer.json<TaskJson>().id)).size, 1)
  t.strictSame([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
  const fresh = answers.filter(({ headers }) => headers['idempotent-replayed'] === undefined)
  t.equal(fresh.length, 1, 'all but one were replayed')
  t.equal(await taskCount(app), 1)
})

t.test('the key travels in the body or the headers of POST /tasks', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const task = { worker: 'echo', input: { text: 'a' } }
  const first = await post(app, '/workers/echo', 'k', { text: 'a' })
  const inBody = await app.inject({
    method: 'POST',
    url: '/tasks',
    payload: { ...task, idempotencyKey: 'k' },
  })
  const inHeader = await post(app, '/tasks', 'k', task)
  for (const again of [inBody, inHeader]) {
    t.equal(again.headers['idempotent-replayed'], 'true')
    t.equal(again.json<TaskJson>().id, first.json<TaskJson>().id)
  }
})

t.test('a batch is replayed whole, and is another input in any other form', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const [a, b, c] = [{ text: 'a' }, { text: 'b' }, { text: 'c' }]
  const batch = (inputs: object[]) => post(app, '/workers/echo/batch', 'k', inputs)
  const ids = (answer: { json<T>(): T }) => answer.json<TaskList>().tasks.map(({ id }) => id)
  const first = await batch([a, b])
  t.notOk('idempotent-replayed' in first.headers)

  const again = await batch([a, b])
  t.equal(again.statusCode, 202)
  t.equal(again.headers['idempotent-replayed'], 'true')
  t.strictSame(ids(again), ids(first))

  isProblem(t, await batch([a, c]), 'idempotency-mismatch')
  isProblem(t, await batch([b, a]), 'idempotency-mismatch')
  isProblem(t, await batch([a, b, c]), 'idempotency-mismatch')
  t.equal(await taskCount(app), 2)
})

t.test('the beginning of a batch is not the batch', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  await post(app, '/workers/echo/batch', 'k', [{ text: 'a' }, { text: 'b' }])
  const shorter = await post(app, '/workers/echo/batch', 'k', [{ text: 'a' }])
  isProblem(t, shorter, 'idempotency-mismatch')
})

t.test('the keys of a batch’s tasks meet no key that a client can choose', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  await post(app, '/workers/echo/batch', 'k', [{ text: 'a' }])
  for (const key of ['k[0]', 'k/0', 'k:0', 'k.0', 'k 0', 'k-0', 'k#0']) {
    const answer = await post(app, '/workers/echo', key, { text: 'b' })
    t.equal(answer.statusCode, 202, `${key} is a key of its own`)
  }
})

t.test('a key is free again once its task is forgotten', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const first = await post(app, '/workers/echo?wait=10', 'k', { text: 'a' })
  const { id } = first.json<TaskJson>()
  t.equal((await app.inject({ method: 'DELETE', url: `/tasks/${id}` })).statusCode, 204)
  const fresh = await post(app, '/workers/echo', 'k', { text: 'b' })
  t.equal(fresh.statusCode, 202)
  t.not(fresh.json<TaskJson>().id, id)
})

t.test('a replay needs no room in the queue', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate], maxQueued: 1 })
  await post(app, '/workers/gate', 'k', { label: 'a' })
  await gate.arrived('a')
  await submit(app, 'gate', { label: 'b' })
  isProblem(t, await post(app, '/workers/gate', 'l', { label: 'c' }), 'queue-full')
  t.equal((await post(app, '/workers/gate', 'k', { label: 'a' })).statusCode, 202)
  const rejecting = await post(app, '/workers/gate?onLimit=reject', 'k', { label: 'a' })
  t.equal(rejecting.headers['idempotent-replayed'], 'true')
})

t.test('bad keys are refused', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const key of ['', ' ', 'a'.repeat(256), 'ü', 'a\tb']) {
    const answer = await post(app, '/workers/echo', key, { text: 'a' })
    const problem = isProblem(t, answer, 'invalid-request')
    t.ok(problem.errors, JSON.stringify(key))
    const payload = { worker: 'echo', input: { text: 'a' }, idempotencyKey: key }
    isProblem(t, await app.inject({ method: 'POST', url: '/tasks', payload }), 'invalid-request')
  }
  t.equal(await taskCount(app), 0)
  t.equal((await post(app, '/workers/echo', 'a'.repeat(255), { text: 'a' })).statusCode, 202)
})
