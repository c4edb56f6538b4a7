import { mock } from 'node:test'
import t from 'tap'
import { echo, Gate, listen, makeApp, settled, submit } from '../app.ts'
import { until } from '../until.ts'
import { SseReader } from './sse.ts'

t.test('every change of every task is sent as it happens', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const reader = await SseReader.open(t, `${await listen(app)}/events`)
  t.equal(reader.response.status, 200)
  t.match(reader.response.headers.get('content-type'), /^text\/event-stream(;|$)/)
  t.equal(reader.response.headers.get('cache-control'), 'no-store')
  const first = await reader.next()
  t.match(first, { id: /\S/, event: undefined, data: undefined })

  const { id } = await submit(app, 'gate', {}, { tags: 'a', priority: '6' })
  const queued = await reader.next()
  t.match(queued, {
    id: String,
    event: 'status',
    data: {
      id,
      worker: 'gate',
      status: 'queued',
      attempt: 0,
      priority: 6,
      tags: ['a'],
      createdAt: String,
      at: /^\d{4}-.*\.\d{3}Z$/,
    },
  })
  for (const member of ['input', 'output', 'error']) t.notOk(queued?.data && member in queued.data)
  t.match(await reader.next(), { event: 'status', data: { status: 'running', attempt: 1 } })

  const context = await gate.arrived()
  context.progress(1, 2, 'half')
  const progress = { done: 1, total: 2, message: 'half' }
  const told = await reader.next()
  t.match(told, { event: 'progress', data: { id, worker: 'gate', progress, at: String } })
  gate.release()
  const done = await reader.next()
  t.match(done, { event: 'status', data: { id, status: 'completed', attempt: 1 } })
  const ids = [first, queued, told, done].map((frame) => frame?.id)
  t.equal(new Set(ids).size, 4, 'each has an id of its own')
})

t.test('a failure is told with its error', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const reader = await SseReader.open(t, `${await listen(app)}/events`)
  await reader.next()
  const { id } = await submit(app, 'gate', {}, { timeout: '20ms' })
  await settled(app, id)
  await reader.next()
  await reader.next()
  t.match(await reader.next(), { data: { status: 'failed', error: { code: 'timeout' } } })
})

t.test('log lines are for those who watch the task', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const reader = await SseReader.open(t, `${url}/events`)
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  const own = await SseReader.open(t, `${url}/tasks/${id}/events`)
  context.log.warn('careful')
  gate.release()
  await settled(app, id)
  await app.close()
  const events = (await reader.rest()).map(({ event }) => event)
  t.strictSame(events, [undefined, 'status', 'status', 'status'])
  t.match(
    (await own.rest()).map(({ event }) => event),
    ['status', 'log', 'status'],
  )
})

t.test('one task: its log, its status and what comes, until it settles', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  context.log.info('one')
  const reader = await SseReader.open(t, `${url}/tasks/${id}/events`)
  const line = { id, worker: 'gate', index: 0, level: 'info', message: 'one', at: String }
  t.match(await reader.next(), { event: 'log', data: line })
  t.match(await reader.next(), { event: 'status', data: { id, status: 'running' } })
  await submit(app, 'gate', { label: 'another' })
  context.log.error('two\nlines\r\n\nand: more')
  const second = { index: 1, level: 'error', message: 'two\nlines\r\n\nand: more' }
  t.match(await reader.next(), { event: 'log', data: second })
  gate.release()
  t.match(await reader.rest(), [{ event: 'status', data: { id, status: 'completed' } }])
})

t.test('a task that has settled: its log and last status, and the end', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  ;(await gate.arrived()).log.info('one')
  gate.release()
  await settled(app, id)
  const reader = await SseReader.open(t, `${await listen(app)}/tasks/${id}/events`)
  t.match(await reader.rest(), [
    { event: 'log', data: { message: 'one' } },
    { event: 'status', data: { id, status: 'completed' } },
  ])
})

t.test('what a worker logs cannot forge an event', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  const forged = 'a\n\nevent: status\ndata: {}\n\n\r\rid: 1\u2028'
  ;(await gate.arrived()).log.info(forged)
  gate.release()
  await settled(app, id)
  const reader = await SseReader.open(t, `${await listen(app)}/tasks/${id}/events`)
  const frames = await reader.rest()
  t.equal(frames.length, 2)
  t.equal(frames[0]?.data?.message, forged)
})

t.test('streams end when the server closes', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate], graceMs: 10_000 })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  const all = await SseReader.open(t, `${url}/events`)
  const one = await SseReader.open(t, `${url}/tasks/${id}/events`)
  const closing = app.close()
  gate.release()
  t.match(await one.rest(), [{}, { data: { status: 'completed' } }])
  t.match((await all.rest()).at(-1), { data: { status: 'completed' } }, 'it ran to its end')
  await closing
})

t.test('a reader that leaves is let go', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  ;(await gate.arrived()).log.info('one')
  const readers = [
    await SseReader.open(t, `${url}/events`),
    await SseReader.open(t, `${url}/tasks/${id}/events`),
    await SseReader.open(t, `${url}/tasks/${id}/logs?follow`),
  ]
  t.equal(app.errand.events.readers, 3)
  for (const reader of readers) reader.close()
  await until(() => app.errand.events.readers === 0)
})

t.test('a HEAD of a stream leaves no reader behind', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  for (const path of ['/events', `/tasks/${id}/events`, `/tasks/${id}/logs?follow`]) {
    await fetch(`${url}${path}`, { method: 'HEAD' })
    await t.resolves(
      until(() => app.errand.events.readers === 0, 500),
      path,
    )
  }
})

t.test('a stream that is silent for long says so now and then', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const response = await app.inject({ url: '/events', payloadAsStream: true })
  const chunks = response.stream()[Symbol.asyncIterator]()
  await chunks.next()
  mock.timers.tick(60_000)
  t.match(String((await chunks.next()).value), /^(:\n\n)+$/)
})

t.test('only so many streams are held', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (let i = 0; i < 1_000; i++) app.errand.events.subscribe({ onEvent() {}, onEnd() {} })
  const { id } = await submit(app, 'echo', { text: 'a' })
  for (const path of ['/events', `/tasks/${id}/events`, `/tasks/${id}/logs?follow`]) {
    const response = await app.inject(path)
    t.equal(response.statusCode, 429)
    t.match(response.json(), { code: 'too-many-streams' })
    t.match(response.headers['retry-after'], /^[1-9]\d*$/)
  }
  t.equal((await app.inject(`/tasks/${id}/logs`)).statusCode, 200)
})
