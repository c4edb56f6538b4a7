import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { echo, Gate, listen, makeApp, settled, submit, type TaskJson } from '../app.ts'
import { type Frame, parseSse, SseReader } from './sse.ts'

/** The events of a task that has settled: the stream ends by itself, and at once. */
async function read(app: FastifyInstance, id: string, lastEventId?: string) {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  const signal = AbortSignal.timeout(2_000)
  const response = await app.inject({ url: `/tasks/${id}/events`, headers, signal })
  return { status: response.statusCode, frames: parseSse(response.body) }
}

/** What a frame says, without what another reading may say otherwise. */
function gist({ event, data }: Frame): string {
  const { id, status, progress, message } = (data ?? {}) as unknown as TaskJson & {
    message?: string
  }
  return JSON.stringify([event, id, status, progress, message])
}

t.test('/events resumes where it was left, nothing lost and nothing doubled', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const url = `${await listen(app)}/events`
  const whole = await SseReader.open(t, url)
  const first = await whole.next()
  let last: Frame | undefined
  const pieces: string[] = []
  const tasks: TaskJson[] = []
  for (let i = 0; i < 5; i++) {
    const reader = await SseReader.open(t, url, { 'last-event-id': last?.id ?? first?.id ?? '' })
    await reader.next()
    const task = await submit(app, 'echo', { text: 'a' })
    tasks.push(task)
    // Left at another place each time; the rest of the events comes in the next piece.
    for (let n = 0; n <= i % 3; n++) {
      last = await reader.next()
      if (last !== undefined) pieces.push(gist(last))
    }
    reader.close()
    await settled(app, task.id)
  }
  const reader = await SseReader.open(t, url, { 'last-event-id': last?.id ?? '' })
  await reader.next()
  const wanted: string[] = []
  for (let n = 0; n < 15; n++) {
    const frame = await whole.next()
    if (frame !== undefined) wanted.push(gist(frame))
  }
  while (pieces.length < 15) {
    const frame = await reader.next()
    if (frame !== undefined) pieces.push(gist(frame))
  }
  t.strictSame(pieces, wanted)
})

t.test('one task: from wherever the stream broke, all that is left comes once', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const reader = await SseReader.open(t, `${await listen(app)}/events`)
  const start = (await reader.next())?.id ?? ''
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  context.log.info('one')
  context.progress(1)
  context.log.info('two')
  gate.release()
  await settled(app, id)

  const { frames } = await read(app, id, start)
  const kinds = frames.map(({ event }) => event)
  t.strictSame([...kinds].sort(), ['log', 'log', 'progress', 'status', 'status', 'status'])
  t.equal(new Set(frames.map(gist)).size, frames.length, 'nothing twice')
  t.equal(frames.at(-1)?.data?.status, 'completed')
  for (const [i, frame] of frames.entries()) {
    const rest = await read(app, id, frame.id)
    const left = frames.slice(i + 1)
    t.equal(rest.status, left.length === 0 ? 204 : 200)
    t.strictSame(rest.frames.map(gist), left.map(gist), `after ${i}: ${gist(frame)}`)
  }
})

t.test('a fresh reading of a settled task can be resumed too, down to 204', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  for (const line of ['one', 'two', 'three']) context.log.info(line)
  gate.release()
  await settled(app, id)
  const { status, frames } = await read(app, id)
  t.equal(status, 200)
  t.equal(frames.length, 4)
  for (const [i, frame] of frames.entries()) {
    const rest = await read(app, id, frame.id)
    t.strictSame(rest.frames.map(gist), frames.slice(i + 1).map(gist), `after ${i}`)
    if (i === 3) t.equal(rest.status, 204)
  }
})

t.test('a running task resumes with the lines and states missed', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  const before = await SseReader.open(t, `${url}/tasks/${id}/events`)
  t.match(await before.next(), { data: { status: 'running' } })
  context.log.info('one')
  const last = await before.next()
  before.close()
  context.log.info('two')
  await app.inject({ method: 'POST', url: `/tasks/${id}/pause` })
  const headers = { 'last-event-id': last?.id ?? '' }
  const after = await SseReader.open(t, `${url}/tasks/${id}/events`, headers)
  t.match(await after.next(), { event: 'log', data: { message: 'two' } })
  t.match(await after.next(), { event: 'status', data: { status: 'paused' } })
  await app.inject({ method: 'POST', url: `/tasks/${id}/cancel` })
  const rest = (await after.rest()).map(({ data }) => data?.status)
  t.strictSame(rest, ['canceling', 'canceled'])
})

t.test('the head is sent at once, to a reader that has missed nothing too', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  const before = await SseReader.open(t, `${url}/tasks/${id}/events`)
  const last = await before.next()
  before.close()
  const headers = { 'last-event-id': last?.id ?? '' }
  const signal = AbortSignal.timeout(2_000)
  const response = await fetch(`${url}/tasks/${id}/events`, { headers, signal })
  t.equal(response.status, 200)
  await response.body?.cancel()
})

t.test('an id of no event here: reset, and then what is', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const url = await listen(app)
  const { id } = await submit(app, 'echo', { text: 'a' })
  await settled(app, id)
  const reader = await SseReader.open(t, `${url}/events`)
  const known = (await reader.next())?.id ?? ''
  const [epoch, position] = known.split('-')
  for (const lastId of [
    '0',
    'nonsense',
    '[object Object]',
    '-',
    `${epoch}-`,
    `${epoch}--1`,
    `${epoch}-1e1`,
    `${epoch}-${Number(position) + 1}`,
    `${epoch}-99999999999999999999`,
    `000000000000-${position}`,
    'a'.repeat(5_000),
  ]) {
    t.comment(lastId.slice(0, 40))
    const headers = { 'last-event-id': lastId }
    const all = await SseReader.open(t, `${url}/events`, headers)
    t.match(await all.next(), { event: 'reset', data: {}, id: known })
    all.close()
    const { frames } = await read(app, id, lastId)
    t.match(frames, [{ event: 'reset' }, { event: 'status', data: { status: 'completed' } }])
    t.equal(frames.length, 2)
  }
})

t.test('an id too old for what is kept: reset', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const url = await listen(app)
  const reader = await SseReader.open(t, `${url}/events`)
  const oldest = (await reader.next())?.id ?? ''
  reader.close()
  const payload = Array.from({ length: 1_000 }, () => ({ text: 'a' }))
  for (let i = 0; i < 4; i++)
    await app.inject({ method: 'POST', url: '/workers/echo/batch', payload })
  const last = await submit(app, 'echo', { text: 'a' }, { priority: '0' })
  await settled(app, last.id)
  const resumed = await SseReader.open(t, `${url}/events`, { 'last-event-id': oldest })
  t.match(await resumed.next(), { event: 'reset' })
})

t.test('thousands of events missed are sent, not too much for a reader that reads', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const url = await listen(app)
  const reader = await SseReader.open(t, `${url}/events`)
  const start = (await reader.next())?.id ?? ''
  reader.close()
  const payload = Array.from({ length: 1_000 }, () => ({ text: 'a' }))
  const query = { tags: Array.from({ length: 10 }, (_, i) => `tag-${i}`).join() }
  for (let i = 0; i < 3; i++)
    await app.inject({ method: 'POST', url: '/workers/echo/batch', query, payload })
  const last = await submit(app, 'echo', { text: 'a' }, { priority: '0' })
  await settled(app, last.id)
  const resumed = await SseReader.open(t, `${url}/events`, { 'last-event-id': start })
  t.match(await resumed.next(), { event: undefined })
  let statuses = 0
  for (let frame = await resumed.next(); frame !== undefined; frame = await resumed.next()) {
    statuses++
    if (frame.data?.id === last.id && frame.data.status === 'completed') break
  }
  t.equal(statuses, 3_001 * 3)
})
