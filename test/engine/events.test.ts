import t from 'tap'
import { EventLog, type TaskEvent } from '../../src/engine/events.ts'
import type { Status } from '../../src/task/lifecycle.ts'
import type { Task } from '../../src/task/task.ts'

function task(id: string, status: Status, attempt = 1): Task {
  return { id, worker: 'w', status, input: null, attempt, priority: 4, createdAt: 0 }
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
  const log = new EventLog()
  log.onStatus(task('before', 'queued'), 1)
  const r = reader()
  const subscription = log.subscribe(r)
  t.same(subscription.missed, [])
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
  const log = new EventLog(8)
  const r = reader()
  const first = log.subscribe(r)
  for (let i = 0; i < 5; i++) log.onStatus(task(`t${i}`, 'queued'), i)
  first.close()
  for (const [i, event] of r.seen.entries()) {
    const again = log.subscribe(reader(), event.id)
    t.equal(again.isGap, false)
    t.same(
      again.missed.map((missed) => missed.task.id),
      ['t0', 't1', 't2', 't3', 't4'].slice(i + 1),
    )
    again.close()
  }
  const fresh = log.subscribe(reader(), first.lastId)
  t.equal(fresh.missed.length, 5, 'an id of before the first event')
})

t.test('statuses and progress that were overwritten are not mixed up', async (t) => {
  const log = new EventLog(4)
  const start = log.subscribe(reader()).lastId
  log.onProgress(task('a', 'running'), { done: 1 }, 1)
  for (let i = 0; i < 3; i++) log.onStatus(task('b', 'queued'), 2)
  t.match(
    log.subscribe(reader(), start).missed.map(({ type }) => type),
    ['progress', 'status', 'status', 'status'],
  )
  log.onStatus(task('c', 'failed'), 3)
  log.onProgress(task('d', 'running'), { done: 2 }, 4)
  const [, , ...rest] = log.subscribe(reader(), `${start.split('-')[0]}-2`).missed
  t.match(rest, [
    { type: 'status', status: 'failed' },
    { type: 'progress', progress: { done: 2 } },
  ])
})

t.test('an id that is too old, of another process, or nonsense is a gap', async (t) => {
  const log = new EventLog(4)
  const start = log.subscribe(reader()).lastId
  for (let i = 0; i < 5; i++) log.onStatus(task(`t${i}`, 'queued'), i)
  const epoch = start.split('-')[0]
  for (const id of [
    start,
    new EventLog().subscribe(reader()).lastId,
    `${epoch}-6`,
    `${epoch}--1`,
    `${epoch}-1e0`,
    epoch ?? '',
    '',
    '💥',
  ]) {
    const { isGap, missed } = log.subscribe(reader(), id)
    t.equal(isGap, true, id)
    t.same(missed, [])
  }
  t.equal(log.subscribe(reader(), `${epoch}-1`).isGap, false)
})

t.test('closing ends every reader, once', async (t) => {
  const log = new EventLog()
  const r = reader()
  log.subscribe(r)
  log.close()
  log.close()
  t.equal(r.ended, 1)
  t.equal(log.readers, 0)
})
