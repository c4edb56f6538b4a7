import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { echo, failing, Gate, isProblem, makeApp, settled, submit, type TaskJson } from '../app.ts'
import { until } from '../until.ts'

interface Page {
  tasks: TaskJson[]
  nextCursor?: string
}

async function list(app: FastifyInstance, query: { [name: string]: string } = {}): Promise<Page> {
  const response = await app.inject({ url: '/tasks', query })
  if (response.statusCode !== 200) throw new Error(response.body)
  return response.json<Page>()
}

async function ids(app: FastifyInstance, query: { [name: string]: string } = {}) {
  return (await list(app, query)).tasks.map(({ id }) => id)
}

t.test('no task yet: an empty list without a cursor', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const response = await app.inject('/tasks')
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { tasks: [] })
})

t.test('newest first, in the short form', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const a = await submit(app, 'echo', { text: 'a' })
  const b = await submit(app, 'echo', { text: 'b' })
  await settled(app, b.id)
  const { tasks } = await list(app)
  t.strictSame(
    tasks.map(({ id }) => id),
    [b.id, a.id],
  )
  t.match(tasks[0], { worker: 'echo', status: 'completed', createdAt: String })
  for (const member of ['input', 'output', 'error']) t.notOk(tasks[0] && member in tasks[0])
})

t.test('by status, by several, by worker, by tag, and by all of them', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { workers: [echo, failing], gates: [gate] })
  const { id: running } = await submit(app, 'gate', { label: 'a' }, { tags: 'red,blue' })
  const { id: queued } = await submit(app, 'gate', { label: 'b' }, { tags: 'red' })
  const { id: done } = await submit(app, 'echo', { text: 'a' }, { tags: 'blue' })
  const { id: failed } = await submit(app, 'failing', { retryable: false })
  const { id: later } = await submit(app, 'echo', { text: 'a' }, { delay: '1h' })
  await Promise.all([gate.arrived('a'), settled(app, done), settled(app, failed)])
  for (const [query, wanted] of [
    [{ status: 'running' }, [running]],
    [{ status: 'queued' }, [queued]],
    [{ status: 'failed,completed' }, [failed, done]],
    [{ status: 'scheduled, queued ,running' }, [later, queued, running]],
    [{ status: 'canceled,waiting,paused,canceling' }, []],
    [{ worker: 'gate' }, [queued, running]],
    [{ worker: 'echo' }, [later, done]],
    [{ worker: 'nobody' }, []],
    [{ tag: 'red' }, [queued, running]],
    [{ tag: 'blue' }, [done, running]],
    [{ tag: 're' }, []],
    [{ tag: 'red,blue' }, []],
    [{ tag: 'red', status: 'queued', worker: 'gate' }, [queued]],
    [{ tag: 'red', worker: 'echo' }, []],
  ] as const) {
    t.strictSame(await ids(app, query), wanted, JSON.stringify(query))
  }
})

t.test('by parent', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const parent = await submit(app, 'echo', { text: 'parent' })
  const child = await app.errand.submit('echo', { text: 'child' }, { parent: parent.id })
  await submit(app, 'echo', { text: 'orphan' })
  const { tasks } = await list(app, { parent: parent.id })
  t.match(tasks, [{ id: child.task.id, parent: parent.id }])
  t.equal(tasks.length, 1)
  t.strictSame(await ids(app, { parent: 'nobody' }), [])
})

t.test('since is inclusive, until is not', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const first = await submit(app, 'echo', { text: 'a' })
  await until(() => Date.now() > Date.parse(first.createdAt))
  const second = await submit(app, 'echo', { text: 'b' })
  const [from, to] = [first.createdAt, second.createdAt]
  t.strictSame(await ids(app, { since: from }), [second.id, first.id])
  t.strictSame(await ids(app, { since: to }), [second.id])
  t.strictSame(await ids(app, { until: to }), [first.id])
  t.strictSame(await ids(app, { until: from }), [])
  t.strictSame(await ids(app, { since: from, until: to }), [first.id])
  t.strictSame(await ids(app, { since: to, until: from }), [])
  t.strictSame(await ids(app, { since: '2999-01-01T00:00:00Z' }), [])
  const offset = from.replace('Z', '+00:00')
  t.strictSame(await ids(app, { since: offset, until: to }), [first.id])
})

t.test('bad filters are refused, and named', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  await submit(app, 'echo', { text: 'a' })
  const times = ['', 'yesterday', '2030-01-31', '1700000000000', '2030-02-31T25:00:00Z']
  const bad: { readonly [filter: string]: readonly string[] } = {
    status: ['', 'done', 'Completed', 'completed,', 'completed,done', 'toString', '__proto__'],
    since: times,
    until: times,
    limit: ['', '0', '-1', '501', '1.5', 'all', 'Infinity', '9007199254740993'],
  }
  for (const [filter, values] of Object.entries(bad)) {
    for (const value of values) {
      t.comment(`${filter}=${value}`)
      const response = await app.inject({ url: '/tasks', query: { [filter]: value } })
      const problem = isProblem(t, response, 'invalid-request')
      t.equal(problem.errors?.[0]?.path, `/${filter}`)
    }
  }
  isProblem(t, await app.inject('/tasks?state=queued'), 'invalid-request')
  isProblem(t, await app.inject('/tasks?worker=a&worker=b'), 'invalid-request')
  isProblem(t, await app.inject('/tasks?status=queued&status=running'), 'invalid-request')
})

t.test('a time that no clock of ours can show does not turn the filter off', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  await submit(app, 'echo', { text: 'a' })
  // A leap second is good RFC 3339, and not a time that a Date can hold.
  const leap = '2998-12-31T23:59:60Z'
  const since = await app.inject({ url: '/tasks', query: { since: leap } })
  if (since.statusCode === 200) t.strictSame(since.json(), { tasks: [] })
  else isProblem(t, since, 'invalid-request')
  const before = await app.inject({ url: '/tasks', query: { until: leap } })
  if (before.statusCode === 200) t.equal(before.json<Page>().tasks.length, 1)
  else isProblem(t, before, 'invalid-request')
})

t.test('a page holds 50, or as many as asked for up to 500', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const payload = Array.from({ length: 510 }, () => ({ text: 'a' }))
  await app.inject({ method: 'POST', url: '/workers/echo/batch', payload })
  for (const [query, size] of [
    [{}, 50],
    [{ limit: '1' }, 1],
    [{ limit: '500' }, 500],
  ] as const) {
    const page = await list(app, query)
    t.equal(page.tasks.length, size)
    t.type(page.nextCursor, 'string')
  }
})
