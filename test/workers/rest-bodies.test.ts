import {
  type BrotliOptions,
  brotliCompressSync,
  constants,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import t from 'tap'
import { until } from '../until.ts'
import { startApp } from './perform.ts'
import { call, failed } from './rest/call.ts'
import { startService } from './rest/service.ts'

const MAX_BYTES = 10_485_760
const QUICK: BrotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }

t.test('charsets: by the mark, by the content-type, else UTF-8', async (t) => {
  const app = await startApp(t)
  const bodies: [type: string, hex: string, encoding: string, text: string][] = [
    ['text/plain', Buffer.from('ü語').toString('hex'), 'utf-8', 'ü語'],
    ['text/plain; charset=UTF8', 'c3bc', 'utf-8', 'ü'],
    ['text/plain; charset="ISO-8859-1"', 'fc', 'windows-1252', 'ü'],
    ['text/plain; format=flowed; charset=windows-1252', '80', 'windows-1252', '€'],
    ['text/html;charset=Shift_JIS', '93fa967b', 'shift_jis', '日本'],
    ['text/plain; charset=utf-16', '6100fc00', 'utf-16le', 'aü'],
    ['text/plain; charset=utf-16be', '006100fc', 'utf-16be', 'aü'],
    ['text/plain; charset=iso-8859-1', 'feff00fc', 'utf-16be', 'ü'],
    ['text/plain; charset=iso-8859-1', 'fffefc00', 'utf-16le', 'ü'],
    ['text/plain; charset=iso-8859-1', 'efbbbfc3bc', 'utf-8', 'ü'],
    ['text/plain; charset=no-such', 'c3bc', 'utf-8', 'ü'],
    ['text/plain; charset=', 'c3bc', 'utf-8', 'ü'],
    ['text/plain', 'fc', 'utf-8', '\ufffd'],
    ['application/json; charset=utf-16le', '7b007d00', 'utf-16le', '{}'],
  ]
  const { url } = await startService(t, (request, response) => {
    const [type = '', hex = ''] = JSON.parse(request.body)
    response.setHeader('content-type', type).end(Buffer.from(hex, 'hex'))
  })
  for (const [type, hex, encoding, text] of bodies) {
    t.match(await call(t, app, { url, data: [type, hex] }), { encoding, text }, `${type} ${hex}`)
  }
})

t.test('compressed bodies, of a failure too', async (t) => {
  const app = await startApp(t)
  const text = 'compress me, '.repeat(10_000)
  const encoders: { [coding: string]: (body: Buffer) => Buffer } = {
    identity: (body) => body,
    gzip: (body) => gzipSync(body),
    'X-GZIP': (body) => gzipSync(body),
    deflate: (body) => deflateSync(body),
    'deflate ': (body) => deflateRawSync(body),
    br: (body) => brotliCompressSync(body, QUICK),
    zstd: (body) => zstdCompressSync(body),
    'gzip, br': (body) => brotliCompressSync(gzipSync(body), QUICK),
    'no-such': (body) => body,
  }
  const { url, received } = await startService(t, (request, response) => {
    const coding = decodeURIComponent(request.path.slice(1))
    response.statusCode = request.method === 'POST' ? 500 : 200
    response.setHeader('content-encoding', coding)
    const body = encoders[coding]?.(Buffer.from(text))
    response.end(request.method === 'HEAD' ? undefined : body)
  })
  for (const coding of Object.keys(encoders)) {
    const input = { url: `${url}/${encodeURIComponent(coding)}` }
    const answer = await call(t, app, input)
    t.ok(answer.text === text, coding)
    t.equal((await call(t, app, { ...input, method: 'head' })).text, '')
    const task = await failed(t, app, { ...input, method: 'post' }, 'unexpected-status', true)
    t.match(task, { output: { text } })
  }
  t.equal(received[0]?.headers['accept-encoding'], 'gzip, deflate, br, zstd')
})

t.test('what cannot be decompressed', async (t) => {
  const app = await startApp(t)
  const whole = gzipSync('a'.repeat(1_000))
  const bodies: { [path: string]: [coding: string, body: Buffer] } = {
    '/garbage': ['gzip', Buffer.from('this is no gzip')],
    '/cut': ['gzip', whole.subarray(0, whole.length - 9)],
    '/br': ['br', Buffer.from('x'.repeat(100))],
    '/often': [Array(6).fill('gzip').join(', '), whole],
  }
  const { url } = await startService(t, (request, response) => {
    const [coding = '', body] = bodies[request.path] ?? []
    response.setHeader('content-encoding', coding).end(body)
  })
  for (const path of Object.keys(bodies)) {
    await failed(t, app, { url: url + path }, 'invalid-response', true)
  }
})

t.test('as large as may be, and one byte more', async (t) => {
  const app = await startApp(t)
  const { url } = await startService(t, (request, response) => {
    const [, form, size] = request.path.split('/')
    const body = Buffer.alloc(Number(size), 'a')
    if (form === 'length') response.setHeader('content-length', body.length)
    if (form === 'gzip') response.setHeader('content-encoding', 'gzip')
    response.end(form === 'gzip' ? gzipSync(body) : body)
  })
  for (const form of ['length', 'chunked', 'gzip']) {
    const answer = await call(t, app, { url: `${url}/${form}/${MAX_BYTES}` })
    t.equal(answer.text.length, MAX_BYTES)
    await failed(t, app, { url: `${url}/${form}/${MAX_BYTES + 1}` }, 'response-too-large')
  }
})

t.test('bombs', async (t) => {
  const app = await startApp(t)
  const zeros = Buffer.alloc(200_000_000)
  const bombs: { [coding: string]: Buffer } = {
    gzip: gzipSync(zeros, { level: 1 }),
    br: brotliCompressSync(zeros, QUICK),
    'gzip, gzip': gzipSync(gzipSync(zeros, { level: 1 })),
  }
  const { url } = await startService(t, (request, response) => {
    const coding = decodeURIComponent(request.path.slice(1))
    response.setHeader('content-encoding', coding).end(bombs[coding])
  })
  for (const coding of Object.keys(bombs)) {
    await failed(t, app, { url: `${url}/${encodeURIComponent(coding)}` }, 'response-too-large')
  }
})

t.test(
  'endless bodies are cut by their size or by the timeout, and the connection is closed',
  async (t) => {
    const app = await startApp(t)
    const { url, sockets } = await startService(t, (request, response, socket) => {
      const pauseMs = request.path === '/slow' ? 5 : 0
      const piece = pauseMs > 0 ? 'a' : Buffer.alloc(65_536)
      const writing = setInterval(() => response.write(piece), pauseMs)
      socket.on('close', () => clearInterval(writing))
    })
    await failed(t, app, { url }, 'response-too-large')
    await until(() => sockets.size === 0)
    await failed(t, app, { url: `${url}/slow`, timeout: 300 }, 'timeout', true)
    await until(() => sockets.size === 0)
  },
)
