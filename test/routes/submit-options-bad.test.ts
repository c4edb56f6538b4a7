import t from 'tap'
import { echo, isProblem, makeApp } from '../app.ts'

const TIMES = ['', 'now', '1', '2030-01-31', '2030-13-01T00:00:00Z', '2030-01-31T12:00:00']
const DURATIONS = ['', '-1', 'abc', '1w', '1e3', '5 s', '1s2', '2147483648', '25d', 'NaN', '0x10']
const TOO_MANY_TAGS = Array.from({ length: 21 }, (_, i) => `t${i}`)

/** Of each option, texts that a query must not carry. */
const BAD_QUERIES: { readonly [option: string]: readonly string[] } = {
  priority: ['', '-1', '10', '4.5', 'high', 'NaN'],
  delay: DURATIONS,
  runAt: [...TIMES, '+275760-09-14T00:00:00Z'],
  timeout: [...DURATIONS, '0', '0.4ms'],
  deadline: [...TIMES, '2001-01-01T00:00:00Z'],
  retry: [
    '',
    '-1',
    '1001',
    '1.5',
    'twice',
    'null',
    'true',
    '"2"',
    '[]',
    '{',
    '{"retries":-1}',
    '{"retries":1.5}',
    '{"retries":"2"}',
    '{"delayMs":-1}',
    '{"delayMs":2147483648}',
    '{"maxDelayMs":null}',
    '{"factor":101}',
    '{"jitter":1.01}',
    '{"tries":2}',
    '{"toString":2}',
    '{"__proto__":{"retries":1}}',
  ],
  tags: ['', ',', 'a,', 'a,,b', 'x'.repeat(101), TOO_MANY_TAGS.join()],
  onLimit: ['', 'drop', 'REJECT'],
}

/** Of each option, values that the body of POST /tasks must not carry. */
const BAD_FIELDS: { readonly [option: string]: readonly unknown[] } = {
  priority: [-1, 10, 4.5, '4', null],
  delay: [-1, 1.5, 2_147_483_648, null, true, [], 'soon'],
  runAt: [...TIMES, 0, null],
  timeout: [0, -1, 2_147_483_648, null, {}, '0'],
  deadline: [...TIMES, '2001-01-01T00:00:00Z', 1_999_999_999_999],
  retry: [-1, 1_001, 1.5, '2', null, [], { retries: '2' }, { tries: 1 }, { jitter: 2 }],
  tags: ['a', [''], ['a,b'], [' a'], [1], [null], ['x'.repeat(101)], TOO_MANY_TAGS, {}],
  onLimit: ['drop', true, null],
  idempotencyKey: ['', 1, null, 'a'.repeat(256)],
}

t.test('every bad value in the query is refused, and the option is named', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const [option, values] of Object.entries(BAD_QUERIES)) {
    for (const value of values) {
      const response = await app.inject({
        method: 'POST',
        url: '/workers/echo',
        query: { [option]: value },
        payload: { text: 'a' },
      })
      t.comment(`${option}=${value.slice(0, 60)}`)
      const problem = isProblem(t, response, 'invalid-request')
      t.match(problem.errors?.[0]?.path, new RegExp(`^/${option}(/|$)`))
    }
  }
  t.strictSame((await app.inject('/tasks')).json(), { tasks: [] })
})

t.test('every bad field of POST /tasks is refused, and the option is named', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const [option, values] of Object.entries(BAD_FIELDS)) {
    for (const value of values) {
      const payload = { worker: 'echo', input: { text: 'a' }, [option]: value }
      t.comment(JSON.stringify({ [option]: value }).slice(0, 60))
      const response = await app.inject({ method: 'POST', url: '/tasks', payload })
      const problem = isProblem(t, response, 'invalid-request')
      t.match(problem.errors?.[0]?.path, new RegExp(`^/${option}(/|$)`))
    }
  }
  t.strictSame((await app.inject('/tasks')).json(), { tasks: [] })
})

t.test('an option given twice is refused', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const query of ['priority=1&priority=2', 'tags=a&tags=b', 'delay=1&delay=2']) {
    const url = `/workers/echo?${query}`
    const response = await app.inject({ method: 'POST', url, payload: { text: 'a' } })
    isProblem(t, response, 'invalid-request')
  }
})

t.test('options that contradict each other are refused', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const runAt = '2999-01-01T00:00:00Z'
  const contradictions: { [option: string]: string }[] = [
    { delay: '1s', runAt },
    { delay: '1h', deadline: new Date(Date.now() + 60_000).toISOString() },
    { runAt, deadline: '2998-01-01T00:00:00Z' },
    { runAt, deadline: runAt },
    { onLimit: 'reject', delay: '1s' },
    { onLimit: 'reject', runAt },
  ]
  for (const query of contradictions) {
    const payload = { text: 'a' }
    const response = await app.inject({ method: 'POST', url: '/workers/echo', query, payload })
    isProblem(t, response, 'invalid-request')
  }
})

t.test('options are checked before the worker is looked for, on every address', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const [url, payload] of [
    ['/workers/echo/batch?priority=10', [{ text: 'a' }]],
    ['/workers/none?priority=10', {}],
    ['/workers/none/batch?priority=10', [{}]],
  ] as const) {
    isProblem(t, await app.inject({ method: 'POST', url, payload }), 'invalid-request')
  }
})
