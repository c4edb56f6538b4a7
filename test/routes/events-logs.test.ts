import t from 'tap'
import { Gate, isProblem, listen, makeApp, settled, submit } from '../app.ts'
import { until } from '../until.ts'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

interface Line {
  index: number
  at: string
  level: string
  message: string
}

function lines(text: string): Line[] {
  if (text !== '' && !text.endsWith('\n')) throw new Error(`not ended: ${text.slice(-80)}`)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

t.test('the lines of a task, oldest first, whether it runs or has ended', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  const read = async () => {
    const response = await app.inject(`/tasks/${id}/logs`)
    t.equal(response.statusCode, 200)
    return response.json<{ logs: Line[] }>().logs
  }
  const context = await gate.arrived()
  t.strictSame(await read(), [])
  for (const level of LEVELS) context.log[level](`at ${level}`)
  const logs = await read()
  t.strictSame(
    logs.map(({ index, level, message }) => [index, level, message]),
    LEVELS.map((level, i) => [i, level, `at ${level}`]),
  )
  t.match(logs[0]?.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  gate.release()
  await settled(app, id)
  t.strictSame(await read(), logs)
})

t.test('the latest 1,000 lines are kept, and their indexes say what was dropped', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  for (let i = 0; i < 1_200; i++) context.log.info(`line ${i}`)
  const { logs } = (await app.inject(`/tasks/${id}/logs`)).json<{ logs: Line[] }>()
  t.equal(logs.length, 1_000)
  t.match(logs[0], { index: 200, message: 'line 200' })
  t.match(logs.at(-1), { index: 1_199, message: 'line 1199' })
})

t.test('followed: one JSON document a line, as they come, until the task settles', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  context.log.info('before')
  const response = await fetch(`${url}/tasks/${id}/logs?follow`)
  t.match(response.headers.get('content-type'), /^application\/x-ndjson(;|$)/)
  t.equal(response.headers.get('cache-control'), 'no-store')
  const chunks = response.body?.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
  t.match(lines((await chunks?.next())?.value ?? ''), [{ index: 0, message: 'before' }])
  context.log.warn('while it\nruns')
  const second = lines((await chunks?.next())?.value ?? '')
  t.match(second, [{ index: 1, level: 'warn', message: 'while it\nruns', at: String }])
  context.log.info('last')
  gate.release()
  let rest = ''
  for (let next = await chunks?.next(); next?.done === false; next = await chunks?.next())
    rest += next.value
  t.match(lines(rest), [{ index: 2, message: 'last' }])
  t.equal(lines(rest).length, 1)
})

t.test('followed: a task that has settled gives its lines and ends', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  ;(await gate.arrived()).log.info('one')
  gate.release()
  await settled(app, id)
  for (const follow of ['follow', 'follow=', 'follow=true', 'follow=1']) {
    const response = await app.inject(`/tasks/${id}/logs?${follow}`)
    t.match(response.headers['content-type'], /^application\/x-ndjson/)
    t.match(lines(response.body), [{ index: 0, message: 'one' }])
  }
  for (const follow of ['follow=false', 'follow=0']) {
    const response = await app.inject(`/tasks/${id}/logs?${follow}`)
    t.match(response.json(), { logs: [{ index: 0, message: 'one' }] })
  }
})

t.test('followed: a queued task that is canceled ends the stream', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 1 })
  const app = await makeApp(t, { gates: [gate] })
  await submit(app, 'gate', { label: 'busy' })
  const { id } = await submit(app, 'gate', { label: 'queued' })
  const following = app.inject(`/tasks/${id}/logs?follow`)
  following.then(() => {})
  await until(() => app.errand.events.readers === 1)
  await app.inject({ method: 'POST', url: `/tasks/${id}/cancel` })
  const response = await following
  t.equal(response.statusCode, 200)
  t.equal(response.body, '')
})

t.test('followed: the head is sent at once, before there is a line', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  const { id } = await submit(app, 'gate')
  await gate.arrived()
  const signal = AbortSignal.timeout(2_000)
  const response = await fetch(`${url}/tasks/${id}/logs?follow`, { signal })
  t.equal(response.status, 200)
  await response.body?.cancel()
})

t.test('a log as large as it may be, of characters that JSON escapes, is followed', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  const context = await gate.arrived()
  for (let i = 0; i < 31; i++) context.log.info('\u0001'.repeat(8_192))
  gate.release()
  await settled(app, id)
  const url = await listen(app)
  const signal = AbortSignal.timeout(2_000)
  const followed = await fetch(`${url}/tasks/${id}/logs?follow`, { signal })
  t.equal(lines(await followed.text()).length, 31)
  const events = await fetch(`${url}/tasks/${id}/events`, { signal })
  t.equal((await events.text()).match(/^event: log$/gm)?.length, 31)
})

t.test('bad values of follow are refused', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const { id } = await submit(app, 'gate')
  for (const query of ['follow=yes', 'follow=TRUE', 'follow=2', 'folow', 'follow&follow'])
    isProblem(t, await app.inject(`/tasks/${id}/logs?${query}`), 'invalid-request')
})
