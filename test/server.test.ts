import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { BUILTINS } from './builtins.ts'
import { ServerProcess } from './server-process.ts'
import { until } from './until.ts'

/** What the server may take to end beyond its grace, in milliseconds. */
const FEW_SECONDS = 6_000

/** Ends when the test lets it: once the file `go` is there. */
const UNTIL_TOLD = `
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineWorker, Type } from 'errand'
export default defineWorker({
  name: 'until-told',
  details: { description: 'Ends once a file is there', input: Type.Object({ go: Type.String() }) },
  async perform({ go }) {
    while (!existsSync(go)) await sleep(10)
    return 'told'
  },
})`

/** Writes down why it was told to end. */
const REASON = `
import { writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { defineWorker, ServerStopping, Type } from 'errand'
export default defineWorker({
  name: 'reason',
  details: { description: 'Writes why it ends', input: Type.Object({ to: Type.String() }) },
  async perform({ to }, task) {
    const hour = setTimeout(() => {}, 3_600_000)
    await once(task.signal, 'abort')
    clearTimeout(hour)
    const { reason } = task.signal
    const isStopping = reason instanceof ServerStopping
    writeFileSync(to, JSON.stringify({ name: reason.name, message: reason.message, isStopping }))
    throw reason
  },
})`

const DEAF = `
import { defineWorker, Type } from 'errand'
export default defineWorker({
  name: 'deaf',
  details: { description: 'Never ends, whatever it is told', input: Type.Object({}) },
  perform(_input, task) {
    task.log.info('deaf')
    return new Promise(() => setInterval(() => {}, 1_000))
  },
})`

t.setTimeout(120_000)

async function start(t: Test, grace: string, env = {}) {
  const folder = t.testdir({
    workers: { 'until-told.ts': UNTIL_TOLD, 'reason.ts': REASON, 'deaf.ts': DEAF },
  })
  const args = ['--grace', grace, '--workers', join(folder, 'workers')]
  const server = await ServerProcess.start(t, args, { env })
  return { server, at: (name: string) => join(folder, name) }
}

/** Submits a task and resolves once it runs, with its id. */
async function running(server: ServerProcess, worker: string, input: object = {}): Promise<string> {
  const { body } = await server.submit(worker, input)
  const id = String(body.id)
  const isRunning = async () =>
    (await server.request(`/tasks/${id}/status`)).body.status === 'running'
  await until(isRunning)
  return id
}

/** Submits a task and resolves once it runs and somebody waits for it; `answer` is what they get. */
async function awaited(server: ServerProcess, worker: string, input: object = {}) {
  const answer = server.submit(worker, input, '?wait=60')
  // Looked at once the server has ended, which it may do without answering.
  answer.catch(() => {})
  await until(async () => {
    const { body } = await server.request(`/tasks?status=running&worker=${worker}`)
    return Array.isArray(body.tasks) && body.tasks.length === 1
  })
  return { answer }
}

t.test('it says where the API, its documentation and its health are', async (t) => {
  const { server } = await start(t, '0')
  const [, docs] = await server.printed(/Docs +(\S+)/)
  const [, api] = await server.printed(/API +(\S+)/)
  const [, health] = await server.printed(/Health +(\S+)/)
  for (const url of [api, docs, health]) {
    const response = await fetch(String(url))
    t.equal(response.status, 200, `${url}`)
    await response.body?.cancel()
  }
})

t.test('it names its workers, the first twenty of many', async (t) => {
  const { server } = await start(t, '0')
  const served = [...BUILTINS, 'deaf', 'reason', 'until-told'].sort().slice(0, 20)
  await server.printed(new RegExp(`Workers +${served.join(', ')}\\b`))
  const worker = (name: string) =>
    `export default { name: '${name}', details: { description: 'One of many' }, perform() {} }`
  const names = Array.from({ length: 30 }, (_, index) => `a${index + 10}`)
  const folder = t.testdir(Object.fromEntries(names.map((name) => [`${name}.mjs`, worker(name)])))
  const other = await ServerProcess.start(t, ['--workers', folder])
  await other.printed(/Workers +a10, .*, a\d\d,? .*and \d+ more\n/)
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} with nothing running ends it at once`, async (t) => {
    const { server } = await start(t, '1h')
    // A client that has its connection open keeps nobody.
    await server.request('/workers')
    server.signal(signal)
    const { code, tookMs } = await server.exit()
    t.equal(code, 0)
    t.ok(tookMs < FEW_SECONDS, `in ${Math.round(tookMs)} ms`)
  })

  t.test(`${signal} lets a running task finish, and its waiter have the answer`, async (t) => {
    const { server, at } = await start(t, '1h')
    const waiter = await awaited(server, 'until-told', { go: at('go') })
    server.signal(signal)
    await server.printed(/"stopping"/)
    t.notOk(server.hasExited, 'it waits for the task')
    writeFileSync(at('go'), '')
    const { status, body } = await waiter.answer
    t.equal(status, 200)
    t.match(body, { status: 'completed', output: 'told' })
    t.equal((await server.exit()).code, 0)
  })

  t.test(`${signal} aborts what is longer than the grace, and says why`, async (t) => {
    const { server, at } = await start(t, '100ms')
    const waiter = await awaited(server, 'reason', { to: at('reason.json') })
    server.signal(signal)
    const { code, tookMs } = await server.exit()
    t.equal(code, 0)
    t.ok(tookMs >= 100, 'the grace was given')
    t.ok(tookMs < FEW_SECONDS, `in ${Math.round(tookMs)} ms`)
    t.match(JSON.parse(readFileSync(at('reason.json'), 'utf8')), {
      name: 'ServerStopping',
      isStopping: true,
    })
    const { status, body } = await waiter.answer
    t.equal(status, 200)
    t.match(body, { status: 'failed', error: { code: 'server-stopping', retryable: true } })
  })
}

t.test('during the grace no submit is taken', async (t) => {
  const { server, at } = await start(t, '1h')
  const id = await running(server, 'until-told', { go: at('go') })
  server.signal('SIGTERM')
  await server.printed(/"stopping"/)
  const refused = await until(async () => {
    const answer = await server.submit('ifconfig')
    return answer.status === 503 && answer
  })
  t.match(refused.headers.get('content-type'), 'application/problem+json')
  t.match(refused.body, { status: 503, code: 'stopping' })
  t.match(refused.headers.get('retry-after'), /^\d+$/, 'it says when to try again')
  const ready = await server.request('/readyz')
  t.match(ready, { status: 503, body: { code: 'stopping' } }, 'nor is it ready')
  const task = await server.request(`/tasks/${id}`)
  t.match(task, { status: 200, body: { status: 'running' } }, 'what runs can still be asked for')
  writeFileSync(at('go'), '')
  t.equal((await server.exit()).code, 0)
})

t.test('who waits for a task that will not run any more is answered at once', async (t) => {
  const { server, at } = await start(t, '1h')
  await server.request('/workers/until-told', {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ maxNumTasks: 1 }),
  })
  await running(server, 'until-told', { go: at('go') })
  const queued = server.submit('until-told', { go: at('go') }, '?wait=60')
  await until(async () => {
    const { body } = await server.request('/tasks?status=queued')
    return Array.isArray(body.tasks) && body.tasks.length === 1
  })
  server.signal('SIGTERM')
  t.match(await queued, { status: 202, body: { status: 'queued' } })
  t.notOk(server.hasExited)
  writeFileSync(at('go'), '')
  t.equal((await server.exit()).code, 0)
})

t.test('a second signal ends it at once', async (t) => {
  const { server, at } = await start(t, '1h')
  await running(server, 'until-told', { go: at('never') })
  server.signal('SIGTERM')
  await server.printed(/"stopping"/)
  t.notOk(server.hasExited)
  server.signal('SIGTERM')
  const { code, tookMs } = await server.exit()
  t.not(code, 0, 'it did not end as it should have')
  const line = server.stdout.split('\n').find((line) => line.includes('told twice')) ?? '{}'
  t.match(JSON.parse(line), { signal: 'SIGTERM', running: 1, msg: /tasks are left/ })
  t.ok(tookMs < FEW_SECONDS, `in ${Math.round(tookMs)} ms`)
})

t.test('an open stream holds nobody', async (t) => {
  const { server } = await start(t, '100ms')
  const id = await running(server, 'deaf')
  const streams = await Promise.all(
    ['/events', `/tasks/${id}/events`, `/tasks/${id}/logs?follow`].map((path) =>
      fetch(server.url + path),
    ),
  )
  for (const { status } of streams) t.equal(status, 200)
  const ends = streams.map((stream) => stream.text())
  server.signal('SIGTERM')
  const { code, tookMs } = await server.exit()
  t.equal(code, 0)
  t.ok(tookMs < FEW_SECONDS, `in ${Math.round(tookMs)} ms`)
  // Where a stream was cut off rather than ended, its reading rejects.
  const [, events, log] = await Promise.all(ends)
  t.match(events, /"status":"running"/)
  t.match(log, /"message":"deaf"/)
})

t.test('a log that is followed answers before its first line', async (t) => {
  const { server, at } = await start(t, '1h')
  const id = await running(server, 'until-told', { go: at('go') })
  const signal = AbortSignal.timeout(5_000)
  const log = await fetch(`${server.url}/tasks/${id}/logs?follow`, { signal }).catch(
    () => undefined,
  )
  t.equal(log?.status, 200)
  writeFileSync(at('go'), '')
  t.equal(await log?.text(), '')
})

t.test('a task that ignores its signal holds nobody, nor does who waits for it', async (t) => {
  const { server } = await start(t, '100ms')
  const waiter = await awaited(server, 'deaf')
  server.signal('SIGTERM')
  const { code, tookMs } = await server.exit()
  t.equal(code, 0)
  t.ok(tookMs < FEW_SECONDS, `in ${Math.round(tookMs)} ms`)
  t.match(await waiter.answer, { status: 202, body: { status: 'running' } }, 'with how it stands')
})

t.test('a grace of more than ten seconds is given', async (t) => {
  const { server, at } = await start(t, '30s')
  const waiter = await awaited(server, 'until-told', { go: at('go') })
  server.signal('SIGTERM')
  // What is measured is that the server waits: longer than Fastify gives a plugin by default.
  await sleep(11_000)
  t.notOk(server.hasExited)
  writeFileSync(at('go'), '')
  t.match(await waiter.answer, { status: 200, body: { status: 'completed' } })
  t.equal((await server.exit()).code, 0)
})

t.test('the longest grace is kept', async (t) => {
  const { server, at } = await start(t, '24d')
  await running(server, 'until-told', { go: at('go') })
  server.signal('SIGTERM')
  await server.printed(/"stopping"/)
  await server.request('/healthz')
  t.notOk(server.hasExited, 'it is still there')
  writeFileSync(at('go'), '')
  t.equal((await server.exit()).code, 0)
})

t.test('it ends when it is told to though whoever read its output has gone', async (t) => {
  const server = spawn(process.execPath, ['src/cli.ts', 'serve', '--port', '0'], {
    cwd: join(import.meta.dirname, '..'),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(() => server.kill('SIGKILL'))
  await once(server.stdout, 'data')
  server.stdout.destroy()
  await once(server.stdout, 'close')
  const ended = once(server, 'exit')
  server.kill('SIGTERM')
  t.same(await ended, [0, null])
})
