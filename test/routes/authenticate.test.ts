import fastify, { type FastifyInstance, type HTTPMethods, type RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import { errand } from '../../src/app.ts'
import { echo, isProblem, makeApp } from '../app.ts'

const KEY = 'Correct-Horse-Battery'
const PUBLIC = ['/healthz', '/readyz']

interface Route {
  method: HTTPMethods
  url: string
}

/** An application of its own with everything mounted in it, and each of its routes. */
async function enumerate(t: Test, prefix = ''): Promise<{ app: FastifyInstance; routes: Route[] }> {
  const app = fastify()
  t.teardown(() => app.close())
  const routes: Route[] = []
  app.addHook('onRoute', ({ method, url }: RouteOptions) => {
    for (const one of [method].flat())
      routes.push({ method: one, url: url.replace(/:\w+|\*/g, 'some') })
  })
  await app.register(errand, {
    prefix,
    apiKey: KEY,
    workers: [echo],
    logLevel: 'silent',
    graceMs: 0,
  })
  await app.ready()
  return { app, routes }
}

t.test('with a key, every route but the probes answers 401 without it', async (t) => {
  const { app, routes } = await enumerate(t)
  t.ok(routes.length > 60, `${routes.length} routes`)
  for (const path of ['/workers', '/tasks/some/events', '/openapi.json', '/docs/json', '/docs/'])
    t.ok(
      routes.some(({ url }) => url === path),
      `${path} is among them`,
    )
  for (const { method, url } of routes) {
    const response = await app.inject({ method, url })
    const isPublic = PUBLIC.includes(url)
    t.equal(response.statusCode, isPublic ? 200 : 401, `${method} ${url}`)
    if (!isPublic) t.equal(response.headers['www-authenticate'], 'Bearer realm="errand"')
  }
})

t.test('what is not there is 401 without the key too', async (t) => {
  const { app } = await enumerate(t)
  for (const [method, url] of [
    ['GET', '/nothing'],
    ['PUT', '/workers'],
    ['POST', '/healthz'],
    ['GET', '/healthz/'],
    ['GET', '/healthz/x'],
    ['GET', '/HEALTHZ'],
    ['GET', '/tasks?x=/healthz'],
    ['OPTIONS', '/workers'],
  ] as const) {
    isProblem(t, await app.inject({ method, url }), 'unauthorized')
  }
  t.equal((await app.inject('/tasky/v1/nothing')).statusCode, 401)
})

t.test('the 401 comes before the body is read', async (t) => {
  const app = await makeApp(t, { apiKey: KEY, workers: [echo], bodyLimit: 1_024 })
  for (const payload of ['{', `"${'x'.repeat(5_000)}"`]) {
    const headers = { 'content-type': 'application/json' }
    const response = await app.inject({ method: 'POST', url: '/workers/echo', headers, payload })
    isProblem(t, response, 'unauthorized')
  }
})

t.test('the key opens everything; nothing like it does', async (t) => {
  const app = await makeApp(t, { apiKey: KEY, workers: [echo] })
  const get = (authorization: string) =>
    app.inject({ url: '/workers', headers: { authorization, host: 'tasks.example.com' } })
  for (const header of [
    `Bearer ${KEY}`,
    `bearer ${KEY}`,
    `Bearer  ${KEY} `,
    `Basic ${btoa(`:${KEY}`)}`,
    `Basic ${btoa(`anybody:${KEY}`)}`,
    `basic  ${btoa(`a b:${KEY}`)} `,
  ])
    t.equal((await get(header)).statusCode, 200, header)
  for (const header of [
    '',
    'Bearer',
    'Bearer ',
    KEY,
    `Basic ${KEY}`,
    'Basic',
    'Basic Og==',
    'Basic %',
    `Basic ${btoa(KEY)}`,
    `Basic ${btoa(`${KEY}:`)}`,
    `Basic ${btoa(`${KEY}:${KEY}x`)}`,
    `Basic ${btoa(`a:b:${KEY}`)}`,
    `Basic ${btoa(`:${KEY.toLowerCase()}`)}`,
    `Basic ${btoa(`:${KEY} `)}`,
    `Basic x ${btoa(`:${KEY}`)}`,
    `Bearer ${btoa(`:${KEY}`)}`,
    `Bearer ${KEY.toLowerCase()}`,
    `Bearer ${KEY.toUpperCase()}`,
    `Bearer ${KEY.slice(0, -1)}`,
    `Bearer ${KEY}x`,
    `Bearer x ${KEY}`,
    `Bearer ${KEY} x`,
    `Bearer ${KEY}, Bearer ${KEY}`,
    `Bearer "${KEY}"`,
    'Bearer undefined',
  ]) {
    isProblem(t, await get(header), 'unauthorized')
  }
  isProblem(
    t,
    await app.inject(`/workers?key=${KEY}&authorization=Bearer%20${KEY}`),
    'unauthorized',
  )
})

t.test('a colon in the key is no matter', async (t) => {
  const app = await makeApp(t, { apiKey: 'a:key:with:colons' })
  const authorization = `Basic ${btoa('anybody:a:key:with:colons')}`
  t.equal((await app.inject({ url: '/workers', headers: { authorization } })).statusCode, 200)
})

t.test('a browser that opens a page is told that it may ask for a password', async (t) => {
  const app = await makeApp(t, { apiKey: KEY })
  const challenges = async (url: string, accept?: string, referer?: string) => {
    const headers = { ...(accept && { accept }), ...(referer && { referer }) }
    const response = await app.inject({ url, headers })
    t.equal(response.statusCode, 401)
    return response.headers['www-authenticate']
  }
  const bearer = 'Bearer realm="errand"'
  for (const url of ['/docs', '/docs/', '/tasks', '/nothing', '/tasky/v1/tasks']) {
    const page = await challenges(url, 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8')
    t.strictSame(page, [bearer, 'Basic realm="errand"'], url)
    for (const accept of [undefined, '*/*', 'application/json'])
      t.equal(await challenges(url, accept), bearer, `${url} for ${accept}`)
  }
  for (const page of ['/docs', '/docs/', '/errands/docs', '/docs?a=b']) {
    const asked = await challenges('/workers', 'application/json', `http://localhost${page}`)
    t.strictSame(asked, [bearer, 'Basic realm="errand"'], page)
  }
  for (const page of ['/', '/mydocs', '/docs/x', '/app?at=/docs'])
    t.equal(await challenges('/workers', '*/*', `http://localhost${page}`), bearer, page)
})

t.test(
  'a browser sends the password for pages of other origins too, which may not act',
  async (t) => {
    const app = await makeApp(t, { apiKey: KEY, workers: [echo] })
    const authorization = `Basic ${btoa(`me:${KEY}`)}`
    const host = 'tasks.example.com'
    const send = (method: 'GET' | 'POST' | 'DELETE', marks: { [name: string]: string }) =>
      app.inject({
        method,
        url: '/workers/echo',
        headers: { 'content-type': 'application/json', host, authorization, ...marks },
        ...(method === 'POST' && { payload: '{"text":"a"}' }),
      })
    for (const marks of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site', origin: `https://${host}` },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ] as { [name: string]: string }[]) {
      isProblem(t, await send('POST', marks), 'cross-site')
      isProblem(t, await send('DELETE', marks), 'cross-site')
      t.equal((await send('GET', marks)).statusCode, 200)
      const sent = await send('POST', { ...marks, authorization: `Bearer ${KEY}` })
      t.equal(sent.statusCode, 202, 'the key itself is sent by nobody but who has it')
      isProblem(t, await send('POST', { ...marks, authorization: 'Basic eDp5' }), 'unauthorized')
    }
    for (const marks of [
      { 'sec-fetch-site': 'same-origin' },
      { origin: `https://${host}` },
      {},
    ] as { [name: string]: string }[])
      t.equal((await send('POST', marks)).statusCode, 202)
  },
)

t.test('with a key, hosts and sites are no matter', async (t) => {
  const app = await makeApp(t, { apiKey: KEY, workers: [echo] })
  const headers = {
    authorization: `Bearer ${KEY}`,
    host: 'tasks.example.com',
    'sec-fetch-site': 'cross-site',
  }
  const payload = { text: 'a' }
  const response = await app.inject({ method: 'POST', url: '/workers/echo', headers, payload })
  t.equal(response.statusCode, 202)
})

t.test('without a key, on loopback, only local names are answered', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const get = (host: string, url = '/workers') => app.inject({ url, headers: { host } })
  for (const host of [
    'localhost',
    'LocalHost:8888',
    'tasks.localhost:8888',
    'a.b-c.localhost',
    '127.0.0.1',
    '127.1.2.3:80',
    '[::1]:8888',
  ])
    t.equal((await get(host)).statusCode, 200, host)
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    'evillocalhost',
    '.localhost',
    'evil.example:8888',
    '127.0.0.1.evil.example',
    '127.0.0.1@evil.example',
    'localhost:x',
    'localhost, evil.example',
    '10.0.0.1',
    '0.0.0.0',
    '[::2]',
    '::1',
    ' ',
  ]) {
    isProblem(t, await get(host), 'cross-site')
    isProblem(t, await get(host, '/nothing'), 'cross-site')
  }
})

t.test('where anybody may be, any host is answered', async (t) => {
  for (const options of [{ auth: 'none' }, { auth: 'none', host: '0.0.0.0' }] as const) {
    const app = await makeApp(t, { workers: [echo], ...options })
    const response = await app.inject({ url: '/workers', headers: { host: 'tasks.example.com' } })
    t.equal(response.statusCode, 200)
  }
})

t.test('without a key, a page of another origin may not act', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const send = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', site: string, url = '/workers/echo') =>
    app.inject({
      method,
      url,
      headers: { 'sec-fetch-site': site, 'content-type': 'application/json' },
      ...(method !== 'GET' && { payload: '{"text":"a"}' }),
    })
  for (const site of ['cross-site', 'same-site']) {
    for (const method of ['POST', 'PATCH', 'DELETE'] as const)
      isProblem(t, await send(method, site), 'cross-site')
    isProblem(t, await send('POST', site, '/nothing'), 'cross-site')
    t.equal((await send('POST', site, '/tasky/v1/workers/echo')).statusCode, 403)
    t.equal((await send('GET', site)).statusCode, 200)
  }
  t.strictSame((await app.inject('/tasks')).json(), { tasks: [] })
  isProblem(t, await send('POST', 'whatever comes'), 'cross-site')
  for (const site of ['same-origin', 'none'])
    t.equal((await send('POST', site)).statusCode, 202, site)
})

t.test('without a key, where a browser names the origin alone, that is what counts', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const send = (method: HTTPMethods, headers: { [name: string]: string }) =>
    app.inject({
      method,
      url: '/workers/echo',
      headers: { 'content-type': 'application/json', ...headers },
      ...(method === 'POST' && { payload: '{"text":"a"}' }),
    })
  for (const [host, origin] of [
    ['localhost:8888', 'http://evil.example'],
    ['localhost:8888', 'http://localhost'],
    ['localhost:8888', 'http://localhost:3000'],
    ['localhost:8888', 'http://127.0.0.1:8888'],
    ['localhost', 'https://localhost.evil.example'],
    ['localhost', 'null'],
    ['localhost', 'file://'],
    ['localhost', ''],
    ['localhost', 'nonsense'],
  ] as const) {
    for (const method of ['POST', 'PATCH', 'DELETE', 'PUT', 'OPTIONS'] as const)
      isProblem(t, await send(method, { host, origin }), 'cross-site')
    t.equal((await send('GET', { host, origin })).statusCode, 200, `GET from ${origin}`)
    t.equal((await send('HEAD', { host, origin })).statusCode, 200, `HEAD from ${origin}`)
  }
  t.strictSame((await app.inject('/tasks')).json(), { tasks: [] })
  for (const [host, origin] of [
    ['localhost:8888', 'http://localhost:8888'],
    ['LocalHost', 'http://localhost'],
    ['[::1]:8888', 'http://[::1]:8888'],
  ] as const)
    t.equal((await send('POST', { host, origin })).statusCode, 202, origin)
  const marked = { host: 'localhost', origin: 'http://evil.example' }
  t.equal((await send('POST', { ...marked, 'sec-fetch-site': 'same-origin' })).statusCode, 202)
  t.equal((await send('POST', { host: 'localhost' })).statusCode, 202, 'curl names none')
})

t.test('mounted in another application, it guards its own routes and no other', async (t) => {
  const { app, routes } = await enumerate(t, '/errand')
  const host = fastify()
  t.teardown(() => host.close())
  host.get('/mine', async () => 'mine')
  await host.register(errand, { prefix: '/errand', apiKey: KEY, logLevel: 'silent' })
  t.equal((await host.inject('/mine')).statusCode, 200)
  t.equal((await host.inject('/errand/workers')).statusCode, 401)
  t.equal((await host.inject('/errand/nothing')).statusCode, 401)
  t.equal(
    (await host.inject('/nothing')).headers['content-type'],
    'application/json; charset=utf-8',
  )
  for (const { method, url } of routes) {
    const wanted = PUBLIC.some((probe) => url === `/errand${probe}`) ? 200 : 401
    t.equal((await app.inject({ method, url })).statusCode, wanted, `${method} ${url}`)
  }
})
