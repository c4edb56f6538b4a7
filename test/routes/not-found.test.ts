import { once } from 'node:events'
import { connect } from 'node:net'
import fastify, { type FastifyInstance, type HTTPMethods } from 'fastify'
import t, { type Test } from 'tap'
import { errand } from '../../src/app.ts'
import { echo, isProblem, listen, makeApp } from '../app.ts'

/** Paths with methods that they do not have, and those that they have. */
const MISSES: readonly [method: HTTPMethods, path: string, allow: string][] = [
  ['PUT', '/workers', 'GET, HEAD'],
  ['PUT', '/workers/echo', 'GET, HEAD, PATCH, POST'],
  ['DELETE', '/workers/unknown', 'GET, HEAD, PATCH, POST'],
  ['GET', '/workers/echo/batch', 'POST'],
  ['HEAD', '/workers/echo/batch', 'POST'],
  ['DELETE', '/tasks', 'GET, HEAD, POST'],
  ['OPTIONS', '/tasks', 'GET, HEAD, POST'],
  ['TRACE', '/tasks', 'GET, HEAD, POST'],
  ['PROPFIND', '/tasks', 'GET, HEAD, POST'],
  ['PATCH', '/tasks/a', 'DELETE, GET, HEAD'],
  ['OPTIONS', '/tasks/a%2Fb%20c', 'DELETE, GET, HEAD'],
  ['POST', '/tasks/a?wait=1', 'DELETE, GET, HEAD'],
  ['GET', '/tasks/a/cancel', 'POST'],
  ['POST', '/tasks/a/logs?follow', 'GET'],
  ['POST', '/events', 'GET'],
  ['POST', '/healthz', 'GET, HEAD'],
  ['DELETE', '/openapi.json', 'GET, HEAD'],
  ['POST', '/docs', 'GET, HEAD'],
  ['PUT', '/docs/static/any', 'GET, HEAD'],
]

const NOWHERE: readonly [method: HTTPMethods, path: string][] = [
  ['GET', '/nothing'],
  ['PUT', '/nothing'],
  ['GET', '/worker'],
  ['GET', '/workers/echo/'],
  ['PUT', '/workers/'],
  ['PUT', '/workers/echo/'],
  ['OPTIONS', '/workersx'],
  ['GET', '/Tasks'],
  ['GET', '//tasks'],
  ['PATCH', '/tasks/a/b/c'],
  ['PUT', '/openapi-json'],
  ['GET', '/docs/static/nothing'],
]

async function mount(t: Test, options: object): Promise<FastifyInstance> {
  const app = fastify()
  t.teardown(() => app.close())
  app.get('/own', async () => 'own')
  await app.register(errand, { workers: [echo], builtins: false, graceMs: 0, ...options })
  await app.ready()
  return app
}

t.test('a known path names its methods where it does not have the one asked for', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const [method, url, allow] of MISSES) {
    const response = await app.inject({ method, url })
    t.equal(response.headers.allow, allow, `${method} ${url}`)
    if (method === 'HEAD') t.equal(response.statusCode, 405)
    else t.match(isProblem(t, response, 'method-not-allowed').detail, `${method} ${url}`)
  }
})

t.test('an unknown path is not found, by any method', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const [method, url] of [...NOWHERE, ['GET', '/'] as const]) {
    const response = await app.inject({ method, url })
    t.match(isProblem(t, response, 'not-found').detail, `${method} ${url}: /docs lists`)
    t.notOk('allow' in response.headers, `${method} ${url}`)
  }
})

t.test('whatever the body is, it is not looked at', async (t) => {
  const app = await makeApp(t, { workers: [echo], bodyLimit: 1_024 })
  for (const [type, payload] of [
    ['application/x-www-form-urlencoded', '{"text":"a"}'],
    ['application/json', '{'],
    ['application/json', `"${'x'.repeat(5_000)}"`],
  ] as const) {
    const sent = { headers: { 'content-type': type }, payload }
    const known = await app.inject({ method: 'PUT', url: '/workers/echo', ...sent })
    isProblem(t, known, 'method-not-allowed')
    isProblem(t, await app.inject({ method: 'POST', url: '/nothing', ...sent }), 'not-found')
  }
})

t.test('OPTIONS of the whole server is of no path', async (t) => {
  const { port } = new URL(await listen(await makeApp(t, { workers: [echo] })))
  const socket = connect(Number(port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.end('OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const [answer] = await once(socket.setEncoding('latin1'), 'data')
  t.match(answer, /^HTTP\/1\.1 404 /)
})

t.test('below a prefix it holds as well, and beside it not at all', async (t) => {
  const app = await mount(t, { prefix: '/errands' })
  for (const [method, path, allow] of MISSES) {
    const response = await app.inject({ method, url: `/errands${path}` })
    t.equal(response.statusCode, 405, `${method} /errands${path}`)
    t.equal(response.headers.allow, allow)
    const beside = await app.inject({ method, url: path })
    t.equal(beside.statusCode, 404, `${method} ${path}`)
    t.notOk('allow' in beside.headers)
  }
  for (const [method, path] of NOWHERE) {
    const response = await app.inject({ method, url: `/errands${path}` })
    t.match(isProblem(t, response, 'not-found').detail, ': /errands/docs lists what there is')
  }
  for (const url of ['/own', '/errandsx', '/errandsworkers']) {
    const response = await app.inject({ method: 'PUT', url })
    t.equal(response.statusCode, 404)
    t.match(response.json(), { message: `Route PUT:${url} not found` })
  }
})

t.test('mounted at the root, it knows its own paths only', async (t) => {
  const app = await mount(t, {})
  isProblem(t, await app.inject({ method: 'PUT', url: '/workers' }), 'method-not-allowed')
  isProblem(t, await app.inject({ method: 'PUT', url: '/own' }), 'not-found')
})

t.test('without the key neither is told', async (t) => {
  const apiKey = 'a-key-of-the-test'
  const app = await makeApp(t, { apiKey, workers: [echo] })
  const headers = { authorization: `Bearer ${apiKey}` }
  for (const method of ['PUT', 'OPTIONS'] as const) {
    const response = await app.inject({ method, url: '/workers' })
    isProblem(t, response, 'unauthorized')
    t.notOk('allow' in response.headers)
    const known = await app.inject({ method, url: '/workers', headers })
    isProblem(t, known, 'method-not-allowed')
  }
})
