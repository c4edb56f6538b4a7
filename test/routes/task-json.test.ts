import fc from 'fast-check'
import t from 'tap'
import {
  durationOf,
  toLogLine,
  toSettled,
  toSummary,
  toTask,
  toTime,
} from '../../routes/task-json.ts'
import type { Task } from '../../src/task/task.ts'

const BARE: Task = {
  id: 'a',
  worker: 'echo',
  status: 'queued',
  input: { text: 'x' },
  attempt: 0,
  priority: 4,
  createdAt: 1_700_000_000_123,
}

/** As it arrives: what is undefined is absent. */
function onTheWire(value: object): unknown {
  return JSON.parse(JSON.stringify(value))
}

t.test('a time is RFC 3339 with milliseconds, as Date writes it, in whatever order', async (t) => {
  const time = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
  fc.assert(
    fc.property(fc.array(time, { maxLength: 5 }), (times) =>
      times.every((ms) => toTime(ms) === new Date(ms).toISOString()),
    ),
  )
  for (const ms of [0, 1, 999, 1_000, 1_001, 999, -1, -1_000, 1_700_000_000_000])
    t.equal(toTime(ms), new Date(ms).toISOString())
})

t.test('what a task does not have is absent, never null', async (t) => {
  const summary = { id: 'a', worker: 'echo', status: 'queued', attempt: 0, priority: 4 }
  const createdAt = '2023-11-14T22:13:20.123Z'
  t.strictSame(onTheWire(toSummary(BARE)), { ...summary, createdAt })
  t.strictSame(onTheWire(toSettled(BARE)), { ...summary, createdAt })
  t.strictSame(onTheWire(toTask(BARE, BARE.input)), { ...summary, createdAt, input: { text: 'x' } })
})

t.test('what a task has is there, times as times', async (t) => {
  const error = { code: 'c', message: 'm', retryable: false }
  const full: Task = {
    ...BARE,
    status: 'failed',
    error,
    progress: { done: 1 },
    tags: ['t'],
    parent: 'p',
    restartOf: 'r',
    notice: 'n',
    options: { timeout: 5, deadline: 1_700_000_009_000, retry: { retries: 1 } },
    startedAt: 1_700_000_001_000,
    finishedAt: 1_700_000_002_500,
  }
  t.strictSame(onTheWire(toTask(full, full.input)), {
    id: 'a',
    worker: 'echo',
    status: 'failed',
    attempt: 0,
    priority: 4,
    tags: ['t'],
    parent: 'p',
    restartOf: 'r',
    progress: { done: 1 },
    notice: 'n',
    createdAt: '2023-11-14T22:13:20.123Z',
    startedAt: '2023-11-14T22:13:21.000Z',
    finishedAt: '2023-11-14T22:13:22.500Z',
    durationMs: 1_500,
    error,
    input: { text: 'x' },
    timeoutMs: 5,
    deadline: '2023-11-14T22:13:29.000Z',
    retry: { retries: 1 },
  })
  const short = onTheWire(toSummary(full)) as object
  for (const member of ['input', 'output', 'error', 'timeoutMs', 'deadline', 'retry'])
    t.notOk(member in short, member)
})

t.test('an output that is nothing is there', async (t) => {
  for (const output of [null, false, 0, ''])
    t.match(onTheWire(toSettled({ ...BARE, status: 'completed', output })), { output })
})

t.test('a duration is that of a settled task that ran, and never negative', async (t) => {
  const ran = { startedAt: 1_000, finishedAt: 1_250 }
  t.equal(durationOf({ ...BARE, status: 'completed', ...ran }), 250)
  t.equal(durationOf({ ...BARE, status: 'canceled', ...ran }), 250)
  t.equal(durationOf({ ...BARE, status: 'completed', startedAt: 2_000, finishedAt: 1_000 }), 0)
  t.equal(durationOf({ ...BARE, status: 'canceled', finishedAt: 1_250 }), undefined)
  t.equal(durationOf({ ...BARE, status: 'running', startedAt: 1_000 }), undefined)
  t.equal(durationOf({ ...BARE, status: 'queued', ...ran }), undefined)
})

t.test('a line of the log', async (t) => {
  const line = { index: 3, level: 'warn', message: 'm' } as const
  t.strictSame(toLogLine({ ...line, at: 0 }), { ...line, at: '1970-01-01T00:00:00.000Z' })
})
