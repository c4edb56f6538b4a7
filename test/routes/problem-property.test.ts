import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { Problem } from '../../routes/schemas.ts'
import { CATALOGUE } from '../../src/task/errors.ts'
import { echo, failing, makeApp, settled, submit } from '../app.ts'

const RUNS = 600
/** An event stream has no end of its own: it is left after this long, in milliseconds. */
const STREAM_MS = 25

const isProblemShape = new Ajv2020({ strict: false }).compile(Problem)

const method = fc.oneof(
  { weight: 5, arbitrary: fc.constant('POST') },
  { weight: 3, arbitrary: fc.constant('GET') },
  { weight: 2, arbitrary: fc.constantFrom('HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE') },
)
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('workers', 'tasks', 'echo', 'failing', 'batch', 'ID') },
  {
    weight: 3,
    arbitrary: fc.constantFrom('status', 'result', 'logs', 'cancel', 'restart', 'pause'),
  },
  { weight: 1, arbitrary: fc.constantFrom('tasky', 'v1', 'docs', 'openapi.json', 'healthz', '') },
  { weight: 2, arbitrary: fc.string({ unit: 'binary' }).map(encode) },
  { weight: 1, arbitrary: fc.constantFrom('%', '%zz', '..', '%2e%2e', '%00', 'a'.repeat(250)) },
)
const path = fc.oneof(
  { weight: 3, arbitrary: fc.array(word, { maxLength: 5 }).map((words) => `/${words.join('/')}`) },
  {
    weight: 9,
    arbitrary: fc.constantFrom(
      '/workers/echo',
      '/workers/echo/batch',
      '/workers/failing',
      '/tasks',
      '/tasks/ID',
      '/tasks/ID/logs',
      '/tasks/ID/events',
      '/tasky/v1/workers/echo',
      '/tasky/v1/tasks/',
      '/events',
    ),
  },
)
const value = fc.oneof(
  fc.constantFrom('0', '1', '-1', '1.5', '61', 'NaN', 'true', 'null', '{}', '[]', '9e99', 'queued'),
  fc.constantFrom('1ms', '0.01', '2030-01-01T00:00:00Z', '{"retries":1}', 'reject', 'bTox', ','),
  fc.string({ unit: 'binary' }),
)
const someQuery = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom('priority', 'delay', 'runAt', 'timeout', 'deadline', 'retry', 'tags'),
      fc.constantFrom('onLimit', 'status', 'worker', 'tag', 'since', 'until', 'limit', 'cursor'),
      fc.constantFrom('follow', 'wait', '__proto__', 'constructor'),
      fc.string(),
    ),
    value,
  ),
  { maxLength: 2 },
)
const query = fc.oneof(fc.constant<[string, string][]>([]), someQuery)
const latin1 = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
})
const someHeaders = fc.record(
  {
    'content-type': fc.oneof(
      { weight: 9, arbitrary: fc.constant('application/json') },
      { weight: 1, arbitrary: latin1 },
    ),
    prefer: fc.oneof(fc.constantFrom('wait=0', 'wait=0.01', 'wait=-1', 'wait'), latin1),
    'idempotency-key': fc.oneof(fc.constantFrom('k', ''), latin1),
    'last-event-id': latin1,
    authorization: latin1,
    accept: latin1,
  },
  { requiredKeys: [] },
)
const headers = fc.oneof(fc.constant<{ [name: string]: string }>({}), someHeaders)
const json = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.record({ text: fc.string({ unit: 'binary' }) }).map((input) => JSON.stringify(input)),
  fc.constantFrom('{}', '[{"text":"a"}]', '{"worker":"failing"}', '{"maxNumTasks":3}'),
  fc
    .record(
      {
        worker: fc.constantFrom('echo', 'failing', 'x'),
        input: fc.jsonValue(),
        retry: fc.jsonValue(),
      },
      { requiredKeys: ['worker'] },
    )
    .map((body) => JSON.stringify(body)),
)
const body = fc.oneof(
  { weight: 4, arbitrary: json.map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.constant(undefined) },
)

/** As a client would have it in a path: UTF-8, percent-encoded, whatever the text. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

t.test('no request is answered with 5xx, and every problem is a problem document', async (t) => {
  const app = await makeApp(t, { workers: [echo, failing] })
  const { id } = await submit(app, 'echo', { text: 'a' })
  await settled(app, id)

  async function answer(request: InjectOptions) {
    const closer = new AbortController()
    const response = await app.inject({ ...request, payloadAsStream: true, signal: closer.signal })
    const stream = response.stream()
    const timer = setTimeout(() => closer.abort(), STREAM_MS)
    let text = ''
    try {
      for await (const chunk of stream) text += chunk
    } catch {
      // Left, as a client leaves.
    } finally {
      clearTimeout(timer)
    }
    return { status: response.statusCode, type: String(response.headers['content-type']), text }
  }

  const seen = new Map<number, number>()
  const property = fc.asyncProperty(
    fc.record({ method, path, query, headers, body }),
    async ({ method, path, query, headers, body }) => {
      const search = query.map(([name, text]) => `${encode(name)}=${encode(text)}`).join('&')
      const url = `${path.replace('ID', id)}${search === '' ? '' : `?${search}`}`
      const type = { 'content-type': 'application/json' }
      const payload = body === undefined ? {} : { payload: body }
      const given = { method, url, headers: { ...type, ...headers }, ...payload }
      const { status, type: media, text } = await answer(given)
      seen.set(status, (seen.get(status) ?? 0) + 1)
      if (status >= 500) throw new Error(`${status}: ${text}`)
      if (status < 400 || method === 'HEAD') return
      if (path.startsWith('/tasky/v1') && media.startsWith('application/json')) {
        const { Error: error } = JSON.parse(text)
        if (typeof error !== 'string') throw new Error(`no Error of Go-Tasky: ${text}`)
        return
      }
      if (!media.startsWith('application/problem+json')) throw new Error(`${media}: ${text}`)
      const problem = JSON.parse(text)
      if (!isProblemShape(problem)) throw new Error(`no problem document: ${text}`)
      const known = CATALOGUE[problem.code as keyof typeof CATALOGUE]
      if (known?.status !== status || problem.status !== status) throw new Error(text)
    },
  )
  await fc.assert(property, { numRuns: RUNS, endOnFailure: true })
  t.comment(Object.fromEntries(seen))
  t.ok((seen.get(200) ?? 0) + (seen.get(202) ?? 0) > 0, 'some requests were good')
  t.equal((await app.inject('/healthz')).statusCode, 200)
})
