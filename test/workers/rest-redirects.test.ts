import t from 'tap'
import { startApp } from './perform.ts'
import { answerOf, call, failed } from './rest/call.ts'
import { type Respond, startService } from './rest/service.ts'

/** Redirects from /STATUS to `?to=`, setting the cookies of `?set=`; tells of the rest what it got. */
const redirecting: Respond = (request, response) => {
  const { pathname, searchParams } = new URL(request.path, 'http://here')
  const cookies = searchParams.getAll('set')
  if (cookies.length > 0) response.setHeader('set-cookie', cookies)
  const status = Number(pathname.slice(1))
  if (status > 0) {
    response.writeHead(status, { location: searchParams.get('to') ?? '/end' }).end('moved')
  } else {
    response.setHeader('content-type', 'application/json')
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(request))
  }
}

t.test('what becomes of method and body', async (t) => {
  const app = await startApp(t)
  const { url, received } = await startService(t, redirecting)
  const cases = [
    [301, 'POST', 'GET'],
    [302, 'POST', 'GET'],
    [303, 'POST', 'GET'],
    [303, 'PUT', 'GET'],
    [303, 'HEAD', 'HEAD'],
    [301, 'PUT', 'PUT'],
    [302, 'DELETE', 'DELETE'],
    [301, 'HEAD', 'HEAD'],
    [307, 'POST', 'POST'],
    [308, 'PATCH', 'PATCH'],
  ] as const
  for (const [status, method, then] of cases) {
    await call(t, app, { url: `${url}/${status}`, method, ...(method !== 'HEAD' && { data: [1] }) })
    const last = received.at(-1)
    t.match(last, { method: then, path: '/end' }, `${method} after ${status}`)
    const hasBody = then !== 'GET' && then !== 'HEAD'
    t.equal(last?.body, hasBody ? '[1]' : '')
    t.equal(last?.headers['content-type'], hasBody ? 'application/json' : undefined)
  }
})

t.test('cookies are kept on the way, and those still valid are told', async (t) => {
  const app = await startApp(t)
  const { url, received } = await startService(t, redirecting)
  const set = [
    'a=1',
    'b=2; Path=/',
    'old=1; Max-Age=0',
    'far=1; Domain=example.com',
    'p=1; Path=/p',
  ]
  const query = new URLSearchParams([
    ...set.map((line) => ['set', line]),
    ['to', '/302?set=b%3D3&to=/end?set=c%3D4'],
  ])
  const input = { url: `${url}/302?${query}`, cookies: { mine: 'm', b: 'from me' } }
  const answer = await call(t, app, input)
  t.same(answer.cookies, { a: '1', b: '3', p: '1', c: '4' })
  t.same(
    received.map(({ headers }) => headers.cookie),
    ['mine=m; b=from me', 'mine=m; a=1; b=2', 'mine=m; a=1; b=3'],
  )
  t.same((await call(t, app, { url: `${url}/end` })).cookies, {}, 'the next task has none of them')
})

t.test('another origin learns no credentials, nor does the first one again', async (t) => {
  const app = await startApp(t)
  const first = await startService(t, redirecting)
  const other = await startService(t, redirecting)
  const headers = {
    Authorization: 'Bearer t',
    'Proxy-Authorization': 'Basic p',
    Cookie: 'a=1',
    'X-Api-Key': 'k',
    'X-Auth-Token': 't',
    Host: 'first.example',
    'X-Plain': 'stays',
  }
  const secrets = ['authorization', 'proxy-authorization', 'cookie', 'x-api-key', 'x-auth-token']
  const there = `${other.url}/307?to=${encodeURIComponent(`${first.url}/end`)}`
  const within = `/307?to=${encodeURIComponent(there)}`
  const url = `${first.url}/307?to=${encodeURIComponent(within)}`
  await call(t, app, { url, headers, cookies: { b: '2' } })
  const [start, same, again] = first.received
  const [away] = other.received
  t.equal(start?.headers.cookie, 'a=1; b=2')
  t.same(same?.headers, start?.headers, 'the same origin gets all of it')
  for (const hop of [away, again]) {
    for (const name of secrets) t.notOk(hop?.headers[name], name)
    t.equal(hop?.headers['x-plain'], 'stays')
  }
  t.equal(away?.headers.host, other.url.slice(7))
})

t.test(
  'credentials in a URL go no further than its origin; those of a Location go there',
  async (t) => {
    const app = await startApp(t)
    const first = await startService(t, redirecting)
    const other = await startService(t, redirecting)
    const to = encodeURIComponent(`/302?to=${other.url}/end`)
    await call(t, app, { url: `${first.url.replace('//', '//u:p@')}/302?to=${to}` })
    const basic = `Basic ${btoa('u:p')}`
    t.same(
      first.received.map(({ headers }) => headers.authorization),
      [basic, basic],
    )
    t.equal(other.received[0]?.headers.authorization, undefined)
    const own = encodeURIComponent(other.url.replace('//', '//v:q@'))
    await call(t, app, { url: `${first.url}/302?to=${own}` })
    t.equal(other.received[1]?.headers.authorization, `Basic ${btoa('v:q')}`)
  },
)

t.test('so many and no more', async (t) => {
  const app = await startApp(t)
  const { url, received } = await startService(t, redirecting)
  const circle = `${url}/302?to=/302`
  const endless = await startService(t, (_request, response) => {
    response.writeHead(302, { location: '/', 'content-type': 'text/plain' }).end('round')
  })
  const task = await failed(t, app, { url: endless.url }, 'too-many-redirects')
  t.match(answerOf(task), { status_code: 302, headers: { location: '/' }, text: 'round' })
  t.equal(endless.received.length, 6)
  await call(t, app, { url: circle, max_redirects: 2 })
  t.equal(received.length, 3)
  await failed(t, app, { url: circle, max_redirects: 1 }, 'too-many-redirects')
  await failed(t, app, { url: circle, max_redirects: 0 }, 'too-many-redirects')
  const kept = await call(t, app, { url: circle, expected_status_code: [302] })
  t.equal(kept.status_code, 302, 'one that is expected is not followed')
})

t.test('nowhere else than to HTTP', async (t) => {
  const app = await startApp(t)
  const { url } = await startService(t, redirecting)
  for (const to of ['file:///etc/passwd', 'ftp://a/', 'javascript:1', 'http://[', 'data:,a']) {
    const input = { url: `${url}/302?to=${encodeURIComponent(to)}` }
    t.match(answerOf(await failed(t, app, input, 'invalid-redirect')), { status_code: 302 })
  }
})

t.test('a redirect without a Location is an answer', async (t) => {
  const app = await startApp(t)
  const { url } = await startService(t, (_request, response) => {
    response.writeHead(302).end('no place')
  })
  const task = await failed(t, app, { url }, 'unexpected-status')
  t.match(answerOf(task), { text: 'no place' })
})

t.test('cloud metadata is refused, by a redirect and by any spelling', async (t) => {
  const app = await startApp(t)
  const { url } = await startService(t, redirecting)
  const metadata = 'http://169.254.169.254/latest/meta-data/'
  await failed(t, app, { url: metadata }, 'egress-denied')
  for (const to of [
    metadata,
    'http://2852039166/',
    'http://0xa9fea9fe/',
    'http://[::ffff:169.254.169.254]/',
    'http://[fd00:ec2::254]/',
  ]) {
    await failed(t, app, { url: `${url}/307?to=${encodeURIComponent(to)}` }, 'egress-denied')
  }
})

t.test('the operator says where to, for names and for addresses', async (t) => {
  const { url, received } = await startService(t, redirecting)
  const byName = url.replace('127.0.0.1', 'localhost')
  const open = await startApp(t)
  await call(t, open, { url, expected_status_code: [200] })
  const closed = await startApp(t, { egress: 'deny:loopback' })
  await failed(t, closed, { url }, 'egress-denied')
  await failed(t, closed, { url: byName }, 'egress-denied')
  t.equal(received.length, 1, 'nor by a connection that another application has kept')
})
