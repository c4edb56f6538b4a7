import type { InjectOptions } from 'fastify'
import t from 'tap'
import type { ErrorCode } from '../../src/task/errors.ts'
import { echo, isProblem, makeApp } from '../app.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const DEEP = 100_000
const deepList = '['.repeat(DEEP) + ']'.repeat(DEEP)
const deepObject = `${'{"text":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`
const BODIES = ['/workers/echo', '/workers/echo/batch', '/workers/none', '/tasks'] as const

function post(url: string, payload: string | Buffer, headers: object = JSON_TYPE): InjectOptions {
  return { method: 'POST', url, headers: { ...headers }, payload }
}

t.test('malformed JSON, on every address that reads a body', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const payload of [
    '{',
    '{"text":}',
    "{'text':'a'}",
    'undefined',
    '{"a":1}x',
    '\u0000',
    '\ufeff',
  ]) {
    for (const url of BODIES) isProblem(t, await app.inject(post(url, payload)), 'invalid-json')
    const patch = { ...post('/workers/echo', payload), method: 'PATCH' } as const
    isProblem(t, await app.inject(patch), 'invalid-json')
  }
  isProblem(t, await app.inject(post('/tasks', Buffer.from([0xff, 0xfe, 0x00]))), 'invalid-json')
})

t.test('__proto__ and constructor.prototype in a body poison nothing', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const payload of [
    '{"__proto__":{"polluted":true}}',
    '{"text":"a","__proto__":{"polluted":true}}',
    '{"worker":"echo","input":{"__proto__":{"polluted":true}}}',
    '[{"text":"a","__proto__":null}]',
    '{"text":"a","constructor":{"prototype":{"polluted":true}}}',
    '{"\\u005f_proto__":{"polluted":true}}',
  ]) {
    for (const url of BODIES) {
      const response = await app.inject(post(url, payload))
      t.match(response.statusCode, 400)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
    }
  }
  t.notOk('polluted' in {})
})

t.test('a body nested 100,000 levels deep', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const payload of [deepList, deepObject]) {
    for (const url of BODIES) {
      const response = await app.inject(post(url, payload))
      t.ok([400, 404].includes(response.statusCode), `${url}: ${response.statusCode}`)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.ok(response.body.length < 4_000, 'its answer is short')
    }
  }
  const inInput = await app.inject(post('/tasks', `{"worker":"echo","input":${deepList}}`))
  isProblem(t, inInput, 'invalid-input')
  isProblem(t, await app.inject(post('/workers/echo', `{"text":${deepList}}`)), 'invalid-input')
})

t.test('a body past the limit', async (t) => {
  const app = await makeApp(t, { workers: [echo], bodyLimit: 2_000 })
  const sized = (size: number) => JSON.stringify({ text: 'x'.repeat(size - '{"text":""}'.length) })
  t.equal((await app.inject(post('/workers/echo', sized(2_000)))).statusCode, 202)
  for (const url of BODIES)
    isProblem(t, await app.inject(post(url, sized(2_001))), 'body-too-large')
})

t.test('the type of the body', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/jsonx',
    'application/problem+json',
    'nonsense',
    '',
  ]) {
    const response = await app.inject(
      post('/workers/echo', '{"text":"a"}', { 'content-type': type }),
    )
    t.match(isProblem(t, response, 'unsupported-media-type').detail, 'application/json')
  }
  const none = await app.inject(post('/workers/echo', Buffer.from('{"text":"a"}'), {}))
  isProblem(t, none, 'unsupported-media-type')
  for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON']) {
    const response = await app.inject(
      post('/workers/echo', '{"text":"a"}', { 'content-type': type }),
    )
    t.equal(response.statusCode, 202, type)
  }
})

t.test('an empty body of type JSON is no body', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const codes: [string, ErrorCode][] = [
    ['/workers/echo', 'invalid-input'],
    ['/workers/echo/batch', 'invalid-request'],
    ['/tasks', 'invalid-request'],
    ['/workers/none', 'unknown-worker'],
  ]
  for (const [url, code] of codes)
    isProblem(t, await app.inject({ method: 'POST', url, headers: JSON_TYPE }), code)
  const cancel = { method: 'POST', url: '/tasks/none/cancel', headers: JSON_TYPE } as const
  isProblem(t, await app.inject(cancel), 'unknown-task')
  const remove = { method: 'DELETE', url: '/tasks/none', headers: JSON_TYPE } as const
  isProblem(t, await app.inject(remove), 'unknown-task')
})

t.test('a path that cannot be decoded, or is longer than any id', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const url of [
    '/%zz',
    '/tasks/%E0%A4%A',
    '/tasks/%',
    '/workers/%ff',
    `/tasks/${'a'.repeat(201)}`,
    `/tasks/${'a'.repeat(9_000)}/events`,
  ]) {
    t.comment(url.slice(0, 60))
    const response = await app.inject(url)
    t.ok(response.statusCode >= 400 && response.statusCode < 500, `${response.statusCode}`)
    t.match(response.headers['content-type'], /^application\/problem\+json/)
    t.match(response.json(), { code: String, title: String, status: response.statusCode })
    t.ok(response.body.length < 1_000, 'and is not sent back whole')
  }
})

t.test('the path of a fault is a JSON Pointer', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const pathOf = async (input: object) => {
    const response = await app.inject(post('/workers/echo', JSON.stringify(input)))
    return isProblem(t, response, 'invalid-input').errors?.[0]?.path
  }
  t.equal(await pathOf({ text: 'a', 'b c': 1 }), '/b c')
  t.equal(await pathOf({ text: 'a', '': 1 }), '/')
  t.equal(await pathOf({ text: 'a', 'b/c': 1 }), '/b~1c')
  t.equal(await pathOf({ text: 'a', 'b~c': 1 }), '/b~0c')
})

t.test('a huge name that is refused is not sent back whole', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const huge = 'x'.repeat(500_000)
  for (const [url, body] of [
    ['/workers/echo', { text: 'a', [huge]: 1 }],
    ['/tasks', { worker: huge }],
    ['/tasks', { worker: 'echo', [huge]: 1 }],
    ['/tasks', { worker: 'echo', input: { text: 'a' }, retry: { [huge]: 1 } }],
    ['/tasks', { worker: 'echo', input: { text: 'a' }, onLimit: huge }],
  ] as const) {
    const response = await app.inject(post(url, JSON.stringify(body)))
    t.ok(response.statusCode < 500)
    t.ok(response.body.length < 10_000, `${url}: an answer of ${response.body.length} bytes`)
  }
})
