import t from 'tap'
import { createApp } from '../../src/app.ts'
import { settled, startApp, submit } from './perform.ts'
import { answerOf, call, failed } from './rest/call.ts'
import { selfSigned } from './rest/certificates.ts'
import { type Respond, startService } from './rest/service.ts'

const echo: Respond = (request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(request))
}

t.test('a GET, with what the service says of it', async (t) => {
  const app = await startApp(t)
  const { url, received } = await startService(t, (_request, response) => {
    response.setHeader('X-Twice', ['one', 'two'])
    response.setHeader('Set-Cookie', ['a=1', 'b=2; Path=/'])
    response.setHeader('Content-Type', 'text/plain')
    response.end('héllo')
  })
  const answer = await call(t, app, { url: `${url}/path?query=1#fragment` })
  t.match(answer, {
    status_code: 200,
    headers: { 'x-twice': 'one, two', 'set-cookie': ['a=1', 'b=2; Path=/'] },
    cookies: { a: '1', b: '2' },
    encoding: 'utf-8',
    text: 'héllo',
  })
  t.notOk('json' in answer)
  t.match(received, [
    {
      method: 'GET',
      path: '/path?query=1',
      body: '',
      headers: { host: url.slice(7), accept: '*/*', 'user-agent': 'errand' },
    },
  ])
})

t.test('every method, in any case, with and without a body', async (t) => {
  const app = await startApp(t)
  const { url, received } = await startService(t, (request, response) => {
    response.end(request.method === 'HEAD' ? undefined : request.body)
  })
  const data = { list: [1, 'zwei', null] }
  for (const method of ['get', 'POST', 'put', 'Patch', 'delete', 'OPTIONS', 'report']) {
    const answer = await call(t, app, { url, method, data })
    t.equal(answer.text, JSON.stringify(data), method)
    t.match(received.at(-1), {
      method: method.toUpperCase(),
      headers: { 'content-type': 'application/json' },
    })
    t.equal((await call(t, app, { url, method })).text, '', `${method} without data`)
  }
  t.match(await call(t, app, { url, method: 'head' }), { status_code: 200, text: '' })
  t.equal(received.at(-1)?.method, 'HEAD')
  for (const method of ['CONNECT', 'trace']) await failed(t, app, { url, method }, 'invalid-method')
})

t.test('a string is sent as it is, anything else as JSON', async (t) => {
  const app = await startApp(t)
  const { url } = await startService(t, echo)
  const sent = async (data: unknown, headers = {}) =>
    (await call(t, app, { url, method: 'post', data, headers })).json
  t.match(await sent('<a>ü</a>', { 'Content-Type': 'application/xml' }), {
    body: '<a>ü</a>',
    headers: { 'content-type': 'application/xml', 'content-length': '9' },
  })
  t.match(await sent('plain'), { headers: { 'content-type': undefined } })
  t.match(await sent(''), { body: '', headers: { 'content-length': '0' } })
  for (const data of [null, false, 0, [], { a: 1 }]) {
    t.match(await sent(data), {
      body: JSON.stringify(data),
      headers: { 'content-type': 'application/json' },
    })
  }
  t.match(await sent({ a: 1 }, { 'content-type': 'application/vnd.api+json' }), {
    headers: { 'content-type': 'application/vnd.api+json' },
  })
})

t.test('headers: those given, Host too; none that would break the request', async (t) => {
  const app = await startApp(t)
  const { url, received } = await startService(t, echo)
  const headers = {
    Host: 'virtual.example',
    'X-Custom': 'ü\tb',
    Accept: 'text/html',
    Cookie: 'x=y',
  }
  await call(t, app, { url, headers, cookies: { z: '1' } })
  t.match(received.at(-1)?.headers, {
    host: 'virtual.example',
    'x-custom': Buffer.from('ü\tb', 'latin1').toString('latin1'),
    accept: 'text/html',
    cookie: 'x=y; z=1',
  })
  const refused = [
    { 'Content-Length': '3' },
    { 'transfer-encoding': 'chunked' },
    { Connection: 'close' },
    { upgrade: 'websocket' },
    { 'keep-alive': '1' },
    { expect: '100-continue' },
    { 'x-a': 'b\r\nx-injected: 1' },
    { 'x-a': 'b\nc' },
    { 'x-a': '語' },
    { 'x a': 'b' },
    { 'x-a: b\r\nx-injected': '1' },
    { '': 'a' },
    { 'X-A': '1', 'x-a': '2' },
    { host: 'a b' },
    { host: 'a/b' },
  ]
  for (const given of refused) await failed(t, app, { url, headers: given }, 'invalid-header')
  for (const cookies of [{ 'a b': '1' }, { a: '1; b=2' }, { a: '1\r\nx: y' }]) {
    await failed(t, app, { url, cookies }, 'invalid-cookie')
  }
  t.equal(received.length, 1, 'nothing else was sent')
})

t.test('a user and a password in the URL are Basic credentials, and not shown', async (t) => {
  const app = await startApp(t)
  const { url, received } = await startService(t, (request, response) => {
    response.statusCode = request.path === '/' ? 200 : 401
    response.end()
  })
  const withUser = url.replace('//', '//al%C3%ADce:p%40ss@')
  await call(t, app, { url: withUser })
  const basic = `Basic ${Buffer.from('alíce:p@ss').toString('base64')}`
  t.equal(received.at(-1)?.headers.authorization, basic)
  await call(t, app, { url: withUser, headers: { Authorization: 'Bearer t' } })
  t.equal(received.at(-1)?.headers.authorization, 'Bearer t', 'a header stands over it')
  const task = await failed(t, app, { url: `${withUser}/denied?key=s3cret` }, 'unexpected-status')
  t.equal(
    task.error?.message,
    `GET ${url}/denied answered 401, and not 200, 201, 202, 204 as expected.`,
  )
})

t.test('a status that is not expected fails, the answer kept', async (t) => {
  const app = await startApp(t)
  const { url } = await startService(t, (request, response) => {
    response.writeHead(Number(request.path.slice(1)), {
      'content-type': 'application/problem+json',
      'set-cookie': 'seen=1',
    })
    response.end('{"title":"No"}')
  })
  for (const [status, retryable] of [
    [400, false],
    [404, false],
    [408, true],
    [425, true],
    [429, true],
    [500, true],
    [503, true],
    [304, false],
  ] as const) {
    const task = await failed(t, app, { url: `${url}/${status}` }, 'unexpected-status', retryable)
    t.match(answerOf(task), { status_code: status, cookies: { seen: '1' } })
    if (status !== 304) t.match(answerOf(task), { json: { title: 'No' }, text: '{"title":"No"}' })
  }
  const answer = await call(t, app, { url: `${url}/404`, expected_status_code: [404] })
  t.equal(answer.status_code, 404)
  await failed(t, app, { url: `${url}/200`, expected_status_code: [404] }, 'unexpected-status')
})

t.test('JSON is given beside its text where it is some that a task can hold', async (t) => {
  const app = await startApp(t)
  const { url } = await startService(t, (request, response) => {
    const [type = '', text = ''] = JSON.parse(request.body)
    response.setHeader('content-type', type)
    response.end(text)
  })
  const get = (...data: string[]) => call(t, app, { url, data })
  t.same((await get('application/json', '{"a":[1]}')).json, { a: [1] })
  t.same((await get('application/hal+json; charset=utf-8', 'null')).json, null)
  t.match(await get('application/json', '{"__proto__":1}'), { text: '{"__proto__":1}' })
  const deep = '['.repeat(5_000) + ']'.repeat(5_000)
  for (const [type, text] of [
    ['text/plain', '{}'],
    ['application/json', '{'],
    ['application/json', ''],
    ['application/json', deep],
    ['application/json', '[1e999]'],
    ['application/jsonp', '{}'],
  ] as const) {
    const answer = await get(type, text)
    t.equal(answer.text, text)
    t.notOk('json' in answer, `${type} ${text.slice(0, 10)}`)
  }
})

t.test('a large JSON is kept as text', async (t) => {
  const app = await startApp(t)
  const text = `[${'0,'.repeat(4_000_000)}0]`
  const { url } = await startService(t, (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(text)
  })
  const answer = await call(t, app, { url })
  t.ok(answer.text === text)
  t.notOk('json' in answer)
})

t.test('the URL must be one of HTTP', async (t) => {
  const app = await startApp(t)
  for (const url of ['ftp://a/', 'file:///etc/passwd', '/path', '', 'javascript:1', 7]) {
    await t.rejects(app.errand.submit('rest', { url }), { code: 'invalid-input' })
  }
  for (const url of ['http://', 'http://a b/', 'http://[::1', 'http://a:99999/']) {
    await failed(t, app, { url }, 'invalid-url')
  }
  await t.rejects(app.errand.submit('rest', { url: 'http://a', hedaers: {} }), {
    message: /headers/,
  })
  await failed(t, app, { url: 'http://127.0.0.1', pass_user_token: true }, 'no-user-token')
})

t.test('the token of the caller is sent to this server itself, and to no other', async (t) => {
  const app = await createApp({ apiKey: 'a-key-of-the-test', logLevel: 'silent' })
  t.teardown(() => app.close())
  const own = await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `${own}/workers/rest`
  const read = async (input: object) => settled(app, await submit(app, 'rest', { url, ...input }))
  t.match(await read({ pass_user_token: true }), { output: { json: { name: 'rest' } } })
  t.match(await read({}), { status: 'failed', error: { code: 'unexpected-status' } })
  const elsewhere = { url: 'http://127.0.0.2:1/', pass_user_token: true }
  t.match(await read(elsewhere), { status: 'failed', error: { code: 'no-user-token' } })
})

t.test('a certificate of its own is trusted where it is given, and only there', async (t) => {
  const identity = selfSigned(t)
  if (identity === undefined) return
  const app = await startApp(t)
  const { url } = await startService(
    t,
    (_request, response) => void response.end('secret'),
    identity,
  )
  await failed(t, app, { url }, 'bad-certificate')
  for (let i = 0; i < 2; i++) {
    t.equal((await call(t, app, { url, cacert: identity.cert })).text, 'secret')
    await failed(t, app, { url }, 'bad-certificate')
  }
  const two = `${identity.cert}\n# another\n${identity.cert}`
  t.equal((await call(t, app, { url, cacert: two })).text, 'secret', 'a bundle')
  const other = url.replace('127.0.0.1', 'localhost')
  await failed(t, app, { url: other, cacert: identity.cert }, 'bad-certificate')
  const headers = { host: '127.0.0.1' }
  await failed(t, app, { url: other, headers, cacert: identity.cert }, 'bad-certificate')
  for (const cacert of [
    '',
    'no certificate',
    identity.key,
    identity.cert.replace(/[A-Z]{4}/, '!'),
  ]) {
    await failed(t, app, { url, cacert }, 'invalid-cacert')
  }
  for (let i = 0; i < 20; i++) {
    const cacert = `${'\n'.repeat(i)}${identity.cert}`
    t.equal((await call(t, app, { url, cacert })).status_code, 200, 'more than are kept')
  }
})

t.test('HTTPS to a server that speaks HTTP', async (t) => {
  const app = await startApp(t)
  const plain = await startService(t, echo)
  await failed(t, app, { url: plain.url.replace('http:', 'https:') }, 'tls-failed')
})
