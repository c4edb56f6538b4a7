import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Worker } from 'node:worker_threads'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { until } from '../until.ts'
import { inStatus, perform, settled, startApp, submit } from '../workers/perform.ts'

const worker = (name: string, perform: string, members = '') => `
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, threadId } from 'node:worker_threads'
import { appendFileSync, writeFileSync } from 'node:fs'
import { defineWorker, ServerStopping, TaskCanceled, TaskError, TaskTimedOut, Type } from 'errand'
export default defineWorker({
  name: '${name}',
  details: { description: 'In a thread', input: Type.Object({ to: Type.Optional(Type.String()) }) },
  isolate: 'thread',
  ${members}
  async perform(input, task) { ${perform} },
})`

const WORKERS = {
  'where.ts': worker('where', 'return { isMainThread, threadId }'),
  'context.ts': worker(
    'context',
    `return {
      id: task.id,
      attempt: task.attempt,
      filesRoot: task.filesRoot,
      deadline: task.deadline?.getTime() ?? null,
      isAborted: task.signal.aborted,
      input,
    }`,
  ),
  'busy.ts': worker('busy', "task.log.info('busy'); for (;;);"),
  'steps.ts': worker(
    'steps',
    `let step = 0
    for (;;) {
      await task.checkpoint()
      if (input.to !== undefined) appendFileSync(input.to, '.')
      task.progress(++step, 1000, 'step')
      await sleep(10)
    }`,
  ),
  'reason.ts': worker(
    'reason',
    `task.log.info('waiting')
    await new Promise((resolve) => task.signal.addEventListener('abort', resolve))
    const { reason } = task.signal
    writeFileSync(input.to, JSON.stringify({
      name: reason.name,
      isCanceled: reason instanceof TaskCanceled,
      isTimedOut: reason instanceof TaskTimedOut,
      isStopping: reason instanceof ServerStopping,
      code: reason.code,
    }))
    throw reason`,
  ),
  'logs.ts': worker(
    'logs',
    `task.log.debug('one')
    task.log.info('two')
    task.log.warn('three')
    task.log.error('four')
    task.progress(1, 2, 'half')
    task.progress(2, 2)
    return null`,
  ),
  'fails.ts': worker(
    'fails',
    "throw new TaskError('no-luck', 'not this time', { retryable: false })",
  ),
  'retried.ts': worker(
    'retried',
    `if (task.attempt < 3) throw new TaskError('not-yet', 'attempt ' + task.attempt)
    return task.attempt`,
    'retry: { retries: 2, delayMs: 1, jitter: 0 },',
  ),
  'throws.ts': worker('throws', "throw new RangeError('too far')"),
  'bigint.ts': worker('bigint', 'return { n: 1n }'),
  'function.ts': worker('function', 'return () => 1'),
  'exit.ts': worker('exit', 'process.exit(0)'),
  'exits-later.ts': worker('exits-later', 'await sleep(1); process.exit(3)'),
  'rejects-aside.ts': worker(
    'rejects-aside',
    "Promise.reject(new Error('aside')); await sleep(60_000)",
  ),
  'large.ts': worker('large', "return 'x'.repeat(50_000)"),
}

async function start(t: Test, options: { maxOutput?: number } = {}) {
  const folder = t.testdir({ workers: WORKERS })
  const app = await startApp(t, {
    workers: [join(folder, 'workers')],
    builtins: false,
    filesRoot: folder,
    ...options,
  })
  return { app, at: (name: string) => join(folder, name) }
}

/** The threads that live, counted as they come and go. */
function countThreads(t: Test): { readonly alive: number; readonly started: number } {
  const threads = { alive: 0, started: 0 }
  const onThread = (message: unknown) => {
    const { worker } = message as { worker: Worker }
    threads.alive++
    threads.started++
    worker.once('exit', () => threads.alive--)
  }
  subscribe('worker_threads', onThread)
  t.teardown(() => unsubscribe('worker_threads', onThread))
  return threads
}

/** Submits an endless loop and resolves once a thread is in it, with its id. */
async function busy(app: FastifyInstance, options = {}): Promise<string> {
  const { task } = await app.errand.submit('busy', {}, options)
  await until(async () => (await app.errand.logs(task.id)).length === 1)
  return task.id
}

async function cancel(app: FastifyInstance, id: string) {
  await app.errand.act(id, 'cancel')
  return settled(app, id)
}

t.test(
  'it performs in a thread of its own, which is used again and ends with the application',
  async (t) => {
    const threads = countThreads(t)
    const { app } = await start(t)
    t.equal(threads.started, 0, 'there is none before one is needed')
    const task = await perform(app, 'where')
    t.match(task, { status: 'completed', output: { isMainThread: false } })
    t.same((await perform(app, 'where')).output, task.output, 'the same thread')
    t.equal(threads.started, 1)
    await app.close()
    t.equal(threads.alive, 0)
  },
)

t.test('the context is that of the task', async (t) => {
  const { app, at } = await start(t)
  const deadline = Date.now() + 60_000
  const { task } = await app.errand.submit('context', { to: 'x' }, { deadline })
  t.match((await settled(app, task.id)).output, {
    id: task.id,
    attempt: 1,
    filesRoot: at('.').replace(/\/\.?$/, ''),
    deadline,
    isAborted: false,
    input: { to: 'x' },
  })
})

t.test('a busy loop blocks nobody, and is ended by a cancel', async (t) => {
  const threads = countThreads(t)
  const { app } = await start(t)
  const delay = monitorEventLoopDelay({ resolution: 10 })
  const id = await busy(app)
  delay.enable()
  // An endless loop in this thread would never let one of these be answered.
  for (let i = 0; i < 50; i++) {
    const { statusCode } = await app.inject('/healthz')
    if (statusCode !== 200) t.fail(`answered with ${statusCode}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  delay.disable()
  t.ok(delay.max / 1e6 < 500, `the event loop waited ${delay.max / 1e6} ms at most`)
  t.match(await app.errand.get(id), { status: 'running' }, 'and it is busy still')
  const began = performance.now()
  t.match(await cancel(app, id), { status: 'canceled', error: { code: 'canceled' } })
  t.ok(performance.now() - began < 3_000, 'soon')
  await until(() => threads.alive === 0)
})

t.test('several busy loops are ended each by its own cancel', async (t) => {
  const { app } = await start(t)
  const [one, two] = await Promise.all([busy(app), busy(app)])
  t.equal((await cancel(app, one)).status, 'canceled')
  t.match(await app.errand.get(two), { status: 'running' })
  t.equal((await cancel(app, two)).status, 'canceled')
})

t.test('a busy loop is ended by its timeout', async (t) => {
  const { app } = await start(t)
  const task = await settled(app, await busy(app, { timeout: 3_000 }))
  t.match(task, { status: 'failed', error: { code: 'timeout', retryable: true } })
})

t.test('a cancel that comes before its thread has started', async (t) => {
  const { app } = await start(t)
  const id = await submit(app, 'busy')
  await inStatus(app, id, 'running')
  t.equal((await cancel(app, id)).status, 'canceled')
  t.same(await app.errand.logs(id), [], 'it was not begun')
  t.equal((await perform(app, 'where')).status, 'completed')
})

t.test('a busy loop is ended when the application closes', async (t) => {
  const threads = countThreads(t)
  const { app } = await start(t)
  await busy(app)
  t.equal(threads.alive, 1)
  const began = performance.now()
  await app.close()
  t.ok(performance.now() - began < 5_000)
  t.equal(threads.alive, 0)
})

t.test('progress and log lines come across, in order and before the end', async (t) => {
  const { app } = await start(t)
  const task = await perform(app, 'logs')
  t.match(task, { status: 'completed', output: null, progress: { done: 2, total: 2 } })
  const lines = await app.errand.logs(task.id)
  t.match(
    lines.map(({ level, message }) => [level, message]),
    [
      ['debug', 'one'],
      ['info', 'two'],
      ['warn', 'three'],
      ['error', 'four'],
    ],
  )
})

t.test('checkpoints wait while it is paused, and go on when it is resumed', async (t) => {
  const { app, at } = await start(t)
  const steps = () => (existsSync(at('steps')) ? readFileSync(at('steps')).length : 0)
  const id = await submit(app, 'steps', { to: at('steps') })
  await until(() => steps() > 2)
  await until(async () => {
    const paused = await app.errand.act(id, 'pause').catch(() => undefined)
    return paused?.status === 'paused'
  })
  const standing = await until(async () => {
    const before = steps()
    await new Promise((resolve) => setTimeout(resolve, 300))
    return steps() === before && before
  })
  t.match(await app.errand.get(id), { status: 'paused' })
  await app.errand.act(id, 'resume')
  await until(() => steps() > standing)
  await until(async () => {
    return ((await app.errand.get(id)).progress?.done ?? 0) > standing
  })
  t.match(await cancel(app, id), {
    status: 'canceled',
    progress: { total: 1_000, message: 'step' },
  })
})

t.test('a worker that calls no checkpoint cannot be paused', async (t) => {
  const { app } = await start(t)
  const id = await busy(app)
  await t.rejects(app.errand.act(id, 'pause'), { code: 'action-refused' })
  await cancel(app, id)
})

t.test('the reason of the abort is the one outside, by class and by code', async (t) => {
  const { app, at } = await start(t)
  const waits = (id: string) => until(async () => (await app.errand.logs(id)).length === 1)
  const reason = (file: string) => JSON.parse(readFileSync(at(file), 'utf8'))

  const canceled = await submit(app, 'reason', { to: at('canceled') })
  await waits(canceled)
  t.equal((await cancel(app, canceled)).status, 'canceled')
  t.match(reason('canceled'), { name: 'TaskCanceled', isCanceled: true })

  const timeout = await app.errand.submit('reason', { to: at('timeout') }, { timeout: 3_000 })
  t.match(await settled(app, timeout.task.id), { error: { code: 'timeout' } })
  t.match(reason('timeout'), { name: 'TaskTimedOut', isTimedOut: true, code: 'timeout' })

  const deadline = Date.now() + 3_000
  const late = await app.errand.submit('reason', { to: at('deadline') }, { deadline })
  t.match(await settled(app, late.task.id), { error: { code: 'deadline-exceeded' } })
  t.match(reason('deadline'), { isTimedOut: true, code: 'deadline-exceeded' })

  await waits(await submit(app, 'reason', { to: at('stopping') }))
  await app.close()
  t.match(reason('stopping'), { name: 'ServerStopping', isStopping: true })
})

t.test('failures keep their code, their message and whether they may be retried', async (t) => {
  const { app } = await start(t)
  const error = { code: 'no-luck', message: 'not this time', retryable: false }
  t.same((await perform(app, 'fails')).error, error)
  t.match(await perform(app, 'throws'), {
    status: 'failed',
    error: { code: 'worker-error', message: 'too far', retryable: true },
  })
  t.match(await perform(app, 'retried'), { status: 'completed', output: 3, attempt: 3 })
})

t.test('an output that cannot be JSON says so', async (t) => {
  const { app } = await start(t)
  const error = (message: RegExp) => ({ code: 'output-not-json', message, retryable: false })
  t.match(await perform(app, 'bigint'), { status: 'failed', error: error(/bigint.*\/n/) })
  t.match(await perform(app, 'function'), { status: 'failed', error: error(/function/) })
})

t.test('an output larger than the server takes says so', async (t) => {
  const { app } = await start(t, { maxOutput: 10_000 })
  t.match(await perform(app, 'large'), {
    status: 'failed',
    error: { code: 'output-too-large', retryable: false },
  })
})

t.test(
  'a thread that ends itself fails its task, and neither the server nor the next',
  async (t) => {
    const { app } = await start(t)
    for (const name of ['exit', 'exits-later']) {
      for (let i = 0; i < 2; i++) {
        const task = await perform(app, name)
        t.match(task, { status: 'failed', error: { code: 'worker-error', message: /exit/ } }, name)
      }
    }
    t.equal((await perform(app, 'where')).status, 'completed')
  },
)

t.test('a rejection that nobody handles fails its task, and not the server', async (t) => {
  const { app } = await start(t)
  t.match(await perform(app, 'rejects-aside'), {
    status: 'failed',
    error: { code: 'worker-error', message: 'aside' },
  })
})
