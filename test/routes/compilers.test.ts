import fastify from 'fastify'
import t, { type Test } from 'tap'
import { checkedByEngine, useCompilers } from '../../routes/compilers.ts'

const MEMBERS = { n: { type: 'integer' }, flag: { type: 'boolean' }, d: { default: 7 } }
const closed = { type: 'object', properties: MEMBERS, additionalProperties: false }
const open = { type: 'object', properties: MEMBERS }

/** An application that answers with what it was given, after it was checked. */
async function makeEcho(t: Test, schema: object) {
  const app = fastify()
  t.teardown(() => app.close())
  useCompilers(app)
  app.post('/:n', { schema }, async ({ params, query, body }) => ({ params, query, body }))
  await app.ready()
  return app
}

t.test('queries and paths are text, and become what their schemas say', async (t) => {
  const app = await makeEcho(t, { querystring: closed, params: open })
  const response = await app.inject({ method: 'POST', url: '/5?n=6&flag=true' })
  t.strictSame(response.json(), {
    params: { n: 5, d: 7 },
    query: { n: 6, flag: true, d: 7 },
  })
  for (const url of ['/5?n=a', '/5?n=1.5', '/5?flag=yes', '/5?m=1', '/a', '/5?n='])
    t.equal((await app.inject({ method: 'POST', url })).statusCode, 400, url)
})

t.test('a body is taken as it is: nothing is coerced and nothing dropped', async (t) => {
  for (const body of [closed, open]) {
    const app = await makeEcho(t, { body })
    const post = (payload: object) => app.inject({ method: 'POST', url: '/5', payload })
    t.strictSame((await post({ n: 6, flag: true })).json<{ body: object }>().body, {
      n: 6,
      flag: true,
      d: 7,
    })
    for (const payload of [{ n: '6' }, { n: null }, { flag: 1 }, { flag: 'true' }, { n: 6.5 }])
      t.equal((await post(payload)).statusCode, 400, JSON.stringify(payload))
    const extra = await post({ n: 1, m: 'kept' })
    if (body === closed) t.equal(extra.statusCode, 400)
    else t.strictSame(extra.json<{ body: object }>().body, { n: 1, m: 'kept', d: 7 })
  }
})

t.test('formats are checked', async (t) => {
  const when = { type: 'object', properties: { at: { type: 'string', format: 'date-time' } } }
  const app = await makeEcho(t, { body: when })
  const post = (at: string) => app.inject({ method: 'POST', url: '/5', payload: { at } })
  t.equal((await post('2030-01-31T12:00:00Z')).statusCode, 200)
  t.equal((await post('tomorrow')).statusCode, 400)
})

t.test('an answer is written by its schema, with what that refers to', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  useCompilers(app)
  app.addSchema({ $id: 'Inner', type: 'object', properties: { a: { type: 'string' } } })
  const response = { 200: { type: 'object', properties: { inner: { $ref: 'Inner#' } } } }
  app.get('/', { schema: { response } }, async () => ({ inner: { a: 'x', b: 'y' }, c: 1 }))
  t.equal((await app.inject('/')).body, '{"inner":{"a":"x"}}')
})

t.test('what the engine checks is a body and nothing else', async (t) => {
  const check = checkedByEngine({ schema: {}, method: 'POST', url: '/', httpPart: 'body' })
  t.equal(check('whatever'), true)
  t.throws(() => checkedByEngine({ schema: {}, method: 'GET', url: '/', httpPart: 'params' }))
})
