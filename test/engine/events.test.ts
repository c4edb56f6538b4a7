import t from 'tap'
import {
  EventLog,
  type EventSubscription,
  type KeptEvent,
  LOST,
  type TaskEvent,
} from '../../src/engine/events.ts'
import type { Status } from '../../src/task/lifecycle.ts'
import type { Task } from '../../src/task/task.ts'

function task(id: string, status: Status, attempt = 1): Task {
  return { id, worker: 'w', status, input: null, attempt, priority: 4, createdAt: 0 }
}

const silent = { info() {}, warn() {}, error() {} }

function kept({ missed }: EventSubscription): KeptEvent[] {
  return [...missed].filter((event) => event !== LOST)
}

function reader() {
  const seen: TaskEvent[] = []
  let ended = 0
  return {
    seen,
    get ended() {
      return ended
    },
    onEvent: (event: TaskEvent) => void seen.push(event),
    onEnd: () => void ended++,
  }
}

t.test('a reader is told of what comes, as it was then', async (t) => {
  const log = new EventLog(silent)
  log.onStatus(task('before', 'queued'), 1)
  const r = reader()
  const subscription = log.subscribe(r)
  t.same([...subscription.missed], [])
  log.onStatus(task('a', 'running', 2), 2)
  log.onProgress(task('a', 'running'), { done: 1, total: 3 }, 3)
  log.onLog(task('a', 'running'), { index: 0, at: 4, level: 'info', message: 'm' }, 4)
  t.match(r.seen, [
    { type: 'status', status: 'running', attempt: 2, at: 2 },
    { type: 'progress', progress: { done: 1, total: 3 }, at: 3 },
    { type: 'log', entry: { message: 'm' } },
  ])
  subscription.close()
  t.equal(log.readers, 0)
  log.onStatus(task('a', 'completed'), 5)
  t.equal(r.seen.length, 3)
})

t.test('who comes back with the last id gets all that came since, once', async (t) => {
  const log = new EventLog(silent, 8)
  const r = reader()
  const first = log.subscribe(r)
  for (let i = 0; i < 5; i++) log.onStatus(task(`t${i}`, 'queued'), i)
  first.close()
  for (const [i, event] of r.seen.entries()) {
    const again = log.subscribe(reader(), { after: event.id })
    t.equal(again.isGap, false)
    t.same(
      kept(again).map(({ task }) => task.id),
      ['t0', 't1', 't2', 't3', 't4'].slice(i + 1),
    )
    again.close()
  }
  const fresh = log.subscribe(reader(), { after: first.lastId })
  t.equal(kept(fresh).length, 5, 'an id of before the first event')
})

t.test('statuses and progress that were overwritten are not mixed up', async (t) => {
  const log = new EventLog(silent, 4)
  const start = log.subscribe(reader()).lastId
  log.onProgress(task('a', 'running'), { done: 1 }, 1)
  for (let i = 0; i < 3; i++) log.onStatus(task('b', 'queued'), 2)
  t.match(
    kept(log.subscribe(reader(), { after: start })).map(({ type }) => type),
    ['progress', 'status', 'status', 'status'],
  )
  log.onStatus(task('c', 'failed'), 3)
  log.onProgress(task('d', 'running'), { done: 2 }, 4)
  const after = `${start.split('-')[0]}-2`
  const [, , ...rest] = kept(log.subscribe(reader(), { after }))
  t.match(rest, [
    { type: 'status', status: 'failed' },
    { type: 'progress', progress: { done: 2 } },
  ])
})

t.test('an id that is too old, of another process, or nonsense is a gap', async (t) => {
  const log = new EventLog(silent, 4)
  const start = log.subscribe(reader()).lastId
  for (let i = 0; i < 5; i++) log.onStatus(task(`t${i}`, 'queued'), i)
  const epoch = start.split('-')[0]
  for (const id of [
    start,
    new EventLog(silent).subscribe(reader()).lastId,
    `${epoch}-6`,
    `${epoch}--1`,
    `${epoch}-1e0`,
    epoch ?? '',
    '',
    '💥',
  ]) {
    const { isGap, missed } = log.subscribe(reader(), { after: id })
    t.equal(isGap, true, id)
    t.same([...missed], [])
  }
  t.equal(log.subscribe(reader(), { after: `${epoch}-1` }).isGap, false)
})

t.test('closing ends every reader, once', async (t) => {
  const log = new EventLog(silent)
  const r = reader()
  log.subscribe(r)
  log.close()
  log.close()
  t.equal(r.ended, 1)
  t.equal(log.readers, 0)
})

t.test(
  'an event shows its task as it was then, and holds neither its input nor its output',
  async (t) => {
    const log = new EventLog(silent)
    const { lastId } = log.subscribe(reader())
    const error = { code: 'timeout', message: 'm', retryable: true }
    const failed = { ...task('a', 'failed'), input: 'large', output: 'large', tags: ['x'], error }
    log.onStatus(failed, 1)
    log.onStatus({ ...task('b', 'running'), notice: 'n', parent: 'a' }, 2)
    log.onStatus(task('c', 'queued'), 3)
    const [first, second, third] = kept(log.subscribe(reader(), { after: lastId }))
    t.match(first, { status: 'failed', error, task: { id: 'a', tags: ['x'] } })
    t.notMatch(first, { task: { input: 'large' } })
    t.notMatch(first, { task: { output: 'large' } })
    t.match(second, { notice: 'n', error: undefined, task: { parent: 'a' } })
    t.match(third, { notice: undefined, error: undefined })
  },
)

t.test('what is read after it was overwritten is lost, and says so', async (t) => {
  const log = new EventLog(silent, 4)
  const { lastId } = log.subscribe(reader())
  for (let i = 0; i < 4; i++) log.onStatus(task(`t${i}`, 'queued'), i)
  const { missed } = log.subscribe(reader(), { after: lastId })
  t.match(missed.next().value, { task: { id: 't0' } })
  log.onStatus(task('newer', 'queued'), 5)
  t.match(missed.next().value, { task: { id: 't1' } })
  for (let i = 0; i < 3; i++) log.onStatus(task('newest', 'queued'), 6)
  t.same([...missed], [LOST])
})

t.test('a reader of one task is told of that one alone', async (t) => {
  const log = new EventLog(silent)
  const all = reader()
  const one = reader()
  const { lastId } = log.subscribe(all)
  const subscription = log.subscribe(one, { task: 'a' })
  for (const id of ['a', 'b', 'a']) log.onStatus(task(id, 'queued'), 1)
  log.onLog(task('b', 'running'), { index: 0, at: 4, level: 'info', message: 'm' }, 4)
  t.equal(one.seen.length, 2)
  t.equal(all.seen.length, 4)
  t.equal(kept(log.subscribe(reader(), { after: lastId, task: 'b' })).length, 1)
  subscription.close()
  subscription.close()
  log.onStatus(task('a', 'queued'), 1)
  t.equal(one.seen.length, 2)
})

t.test('a reader that throws is closed, and troubles nobody else', async (t) => {
  const errors: object[] = []
  const log = new EventLog({ ...silent, error: (details) => void errors.push(details) })
  let ended = 0
  const thrower = {
    onEvent() {
      throw new Error('broken')
    },
    onEnd: () => void ended++,
  }
  const other = reader()
  log.subscribe(thrower)
  log.subscribe(thrower, { task: 'a' })
  log.subscribe(other)
  log.onStatus(task('a', 'queued'), 1)
  log.onStatus(task('a', 'running'), 2)
  t.equal(other.seen.length, 2)
  t.equal(ended, 2)
  t.equal(log.readers, 1)
  t.match(errors, [{ error: 'broken' }, { error: 'broken' }])
})
