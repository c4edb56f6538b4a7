import fastify from 'fastify'
import t, { type Test } from 'tap'
import { type AppOptions, defineWorker, errand, Type } from '../src/index.ts'

const hello = defineWorker({
  name: 'hello',
  details: {
    description: 'Greets',
    input: Type.Object({ who: Type.String() }),
    output: Type.String(),
  },
  perform: ({ who }) => `hello ${who}`,
})

/** An application of one's own with the API mounted below a prefix. */
async function mount(t: Test, prefix: string, options: AppOptions = {}) {
  const app = fastify()
  t.teardown(() => app.close())
  app.get('/own', async () => ({ own: true }))
  app.post('/own/text', async (request) => ({ body: request.body }))
  app.post(
    '/own/number',
    { schema: { body: { type: 'object', properties: { n: { type: 'integer' } } } } },
    async (request) => request.body,
  )
  app.get('/own/error', async () => {
    throw new Error('of the application itself')
  })
  const mounted = { workers: [hello], builtins: false, graceMs: 0, ...options }
  await app.register(errand, { prefix, ...mounted })
  await app.ready()
  return app
}

function post(url: string, payload: object, headers: { [name: string]: string } = {}) {
  return { method: 'POST' as const, url, payload, headers }
}

t.test('every route stands below the prefix, and Location leads there', async (t) => {
  const app = await mount(t, '/errands')
  const submitted = await app.inject(post('/errands/workers/hello', { who: 'you' }))
  t.equal(submitted.statusCode, 202)
  t.equal(submitted.headers.location, `/errands/tasks/${submitted.json().id}`)
  const task = await app.inject(`${submitted.headers.location}?wait=10`)
  t.match(task.json(), { status: 'completed', output: 'hello you' })
  for (const path of ['/workers', '/tasks', '/healthz', '/readyz', '/tasky/v1/workers', '/docs']) {
    t.match((await app.inject(`/errands${path}`)).statusCode, /200|302/, `/errands${path}`)
    t.equal((await app.inject(path)).statusCode, 404, `${path} is not there`)
  }
})

t.test('a prefix below a prefix', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(
    async (scope) => {
      await scope.register(errand, { prefix: '/inner', workers: [hello], builtins: false })
    },
    { prefix: '/outer' },
  )
  const submitted = await app.inject(post('/outer/inner/workers/hello', { who: 'you' }))
  t.equal(submitted.headers.location, `/outer/inner/tasks/${submitted.json().id}`)
  const document = (await app.inject('/outer/inner/openapi.json')).json()
  t.same(document.servers, [{ url: '/outer/inner' }])
  t.ok(document.paths['/workers/hello'])
})

t.test('the document tells of the prefix as its server, and of nobody else’s routes', async (t) => {
  const app = await mount(t, '/errands')
  const document = (await app.inject('/errands/openapi.json')).json()
  t.same(document.servers, [{ url: '/errands' }])
  const paths = Object.keys(document.paths)
  for (const path of ['/workers/hello', '/tasks/{id}', '/healthz']) t.ok(paths.includes(path), path)
  t.same(
    paths.filter((path) => path.startsWith('/errands') || path.startsWith('/own')),
    [],
  )
})

t.test('the documentation below the prefix loads what is below the prefix', async (t) => {
  const app = await mount(t, '/errands')
  let page = await app.inject('/errands/docs')
  let base = '/errands/docs'
  if (page.statusCode === 302) {
    base = String(page.headers.location)
    page = await app.inject(base)
  }
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], 'text/html')
  const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
  t.ok(sources.length > 2, 'it has scripts and styles')
  for (const source of sources) {
    const { pathname } = new URL(source, `http://localhost${base}`)
    t.ok(pathname.startsWith('/errands/docs/'), pathname)
    t.equal((await app.inject(pathname)).statusCode, 200, pathname)
  }
})

t.test('errors below the prefix are problems', async (t) => {
  const app = await mount(t, '/errands')
  const problems = [
    [await app.inject('/errands/nothing'), 404, 'not-found'],
    [await app.inject('/errands/tasks/none'), 404, 'unknown-task'],
    [await app.inject(post('/errands/workers/hello', { whom: 'you' })), 400, 'invalid-input'],
    [await app.inject(post('/errands/workers/helo', {})), 404, 'unknown-worker'],
    [await app.inject('/errands/tasks?limit=0'), 400, 'invalid-request'],
    [
      await app.inject({
        method: 'POST',
        url: '/errands/workers/hello',
        headers: { 'content-type': 'text/plain' },
        payload: 'you',
      }),
      415,
      'unsupported-media-type',
    ],
  ] as const
  for (const [response, status, code] of problems) {
    t.equal(response.statusCode, status, code)
    t.match(response.headers['content-type'], 'application/problem+json', code)
    t.match(response.json(), { status, code })
  }
})

t.test('what stands outside the prefix is as it was', async (t) => {
  const app = await mount(t, '/errands', { apiKey: 'a-key-of-the-test' })
  t.same((await app.inject('/own')).json(), { own: true }, 'it needs no key')
  const text = await app.inject({
    method: 'POST',
    url: '/own/text',
    headers: { 'content-type': 'text/plain' },
    payload: 'text',
  })
  t.same(text.json(), { body: 'text' }, 'it reads what it read')
  t.same((await app.inject(post('/own/number', { n: '5' }))).json(), { n: 5 }, 'as it did')
  const missing = await app.inject('/nothing')
  t.equal(missing.statusCode, 404)
  t.match(missing.headers['content-type'], /^application\/json/)
  t.match(missing.json(), { message: 'Route GET:/nothing not found' })
  const failed = await app.inject('/own/error')
  t.match(failed.json(), { statusCode: 500, message: 'of the application itself' })
})

t.test('a key holds below the prefix, for what is not there too', async (t) => {
  const app = await mount(t, '/errands', { apiKey: 'a-key-of-the-test' })
  for (const path of ['/workers', '/tasks', '/nothing']) {
    const response = await app.inject(`/errands${path}`)
    t.equal(response.statusCode, 401, path)
    t.match(response.json(), { code: 'unauthorized' })
  }
  const authorization = 'Bearer a-key-of-the-test'
  t.equal(
    (await app.inject({ url: '/errands/workers', headers: { authorization } })).statusCode,
    200,
  )
  t.equal((await app.inject('/errands/healthz')).statusCode, 200, 'probes have no key')
})

t.test('the application has the engine, which ends with it', async (t) => {
  const app = await mount(t, '/errands')
  const { task } = await app.errand.submit('hello', { who: 'me' })
  t.match(await app.errand.wait(task.id, 10_000), { status: 'completed', output: 'hello me' })
  await app.close()
  await t.rejects(async () => app.errand.submit('hello', { who: 'me' }), { code: 'stopping' })
})

t.test('a malformed worker keeps the application from starting', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  const workers = [{ ...hello, name: 'Not A Name' }]
  await t.rejects(async () => app.register(errand, { prefix: '/errands', workers }), {
    code: 'invalid-worker',
    message: /Not A Name/,
  })
})
