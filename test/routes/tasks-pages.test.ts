import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { echo, failing, isProblem, makeApp, settled, submit, type TaskJson } from '../app.ts'
import { until } from '../until.ts'

interface Page {
  tasks: TaskJson[]
  nextCursor?: string
}

async function batch(app: FastifyInstance, size: number): Promise<string[]> {
  const payload = Array.from({ length: size }, () => ({ text: 'a' }))
  const response = await app.inject({ method: 'POST', url: '/workers/echo/batch', payload })
  return response.json<Page>().tasks.map(({ id }) => id)
}

/** The ids of every page, following the cursors. */
async function walk(
  app: FastifyInstance,
  query: { [name: string]: string },
  onPage: (page: Page) => unknown = () => {},
): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const asked = cursor === undefined ? query : { ...query, cursor }
    const page: Page = (await app.inject({ url: '/tasks', query: asked })).json()
    ids.push(...page.tasks.map(({ id }) => id))
    await onPage(page)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return ids
}

t.test('pages cover all tasks exactly once, newest first, whatever their size', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const newestFirst = (await batch(app, 60)).reverse()
  for (const limit of [1, 7, 30, 59, 60, 61, 500]) {
    let pages = 0
    const ids = await walk(app, { limit: String(limit) }, (page) => {
      pages++
      t.ok(page.tasks.length <= limit)
    })
    t.strictSame(ids, newestFirst, `by ${limit}`)
    t.equal(pages, Math.ceil(60 / limit), 'no empty page at the end')
  }
})

t.test('filters hold on every page', async (t) => {
  const app = await makeApp(t, { workers: [echo, failing] })
  const wanted: string[] = []
  for (let i = 0; i < 20; i++) {
    wanted.unshift((await submit(app, 'echo', { text: 'a' }, { tags: 'mine' })).id)
    await submit(app, 'echo', { text: 'a' }, { tags: 'other' })
    await submit(app, 'failing', { retryable: false }, { tags: 'mine' })
  }
  const query = { tag: 'mine', worker: 'echo', limit: '3' }
  t.strictSame(await walk(app, query), wanted)
})

t.test('tasks that come and go between two pages disturb nothing', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const newestFirst = (await batch(app, 30)).reverse()
  await Promise.all(newestFirst.map((id) => settled(app, id)))
  let pages = 0
  const ids = await walk(app, { limit: '10' }, async (page) => {
    if (pages++ > 0) return
    await batch(app, 5)
    // The last of the page is what the cursor stands at.
    const url = `/tasks/${page.tasks[9]?.id}`
    t.equal((await app.inject({ method: 'DELETE', url })).statusCode, 204)
  })
  t.strictSame(ids, newestFirst)
})

t.test('a cursor outlives the forgetting of most tasks before and after it', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const oldestFirst = [...(await batch(app, 700)), ...(await batch(app, 700))]
  oldestFirst.push(...(await batch(app, 700)))
  const counts = async () => (await app.errand.worker('echo')).counts
  await until(async () => (await counts()).completed === 2_100)
  const page: Page = (await app.inject('/tasks?limit=50')).json()
  for (const [i, id] of oldestFirst.entries()) if (i % 7 !== 0) await app.errand.remove(id)
  const left = oldestFirst.filter((_, i) => i % 7 === 0 && i < 2_050)
  const rest = await walk(app, { limit: '20', cursor: page.nextCursor ?? '' })
  t.strictSame(rest, left.reverse())
})

t.test('bad cursors of every shape are refused', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  await batch(app, 3)
  const page: Page = (await app.inject('/tasks?limit=1')).json()
  const good = page.nextCursor ?? ''
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  for (const cursor of [
    'nonsense',
    '0',
    '-1',
    '[object Object]',
    '../../etc/passwd',
    '%00',
    '😀',
    'a'.repeat(5_000),
    `${good}${good}`,
    good.slice(1),
    good.toUpperCase(),
    encode(''),
    encode('m:'),
    encode('m:-1'),
    encode('m:1.5'),
    encode('m:1E9'),
    encode('x:1'),
    encode('m: 1'),
    encode('m:zzzzzzzzzzzzz'),
    encode('{"row":1}'),
  ]) {
    t.comment(cursor.slice(0, 40))
    isProblem(t, await app.inject({ url: '/tasks', query: { cursor } }), 'invalid-cursor')
  }
  isProblem(t, await app.inject('/tasks?cursor=a&cursor=b'), 'invalid-request')
  t.equal((await app.inject({ url: '/tasks', query: { cursor: good } })).statusCode, 200)
})
