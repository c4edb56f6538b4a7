import t from 'tap'
import { TaskCanceled, TaskError, TaskTimedOut } from '../../src/task/worker.ts'
import { until } from '../until.ts'
import { KeptLog, startEngine, untilAborted, worker } from './fixture.ts'

const WAIT = 5_000

t.test(
  'a submit resolves with the task before it runs, a wait with what became of it',
  async (t) => {
    const engine = startEngine(t, [worker('echo', (input: unknown) => input)])
    const { task } = await engine.submit('echo', { a: 1 }, { tags: ['x'], priority: 9 })
    t.match(task, { status: 'queued', worker: 'echo', priority: 9, tags: ['x'] })
    t.match(await engine.wait(task.id, WAIT), { status: 'completed', output: { a: 1 }, attempt: 1 })
    t.match(await engine.wait(task.id, 0), { status: 'completed' })
    await t.rejects(engine.wait('nobody', WAIT), { code: 'unknown-task' })
    await t.rejects(engine.submit('nobody', {}), { code: 'unknown-worker' })
  },
)

t.test('a wait ends at its deadline, at its signal, and with the engine', async (t) => {
  const engine = startEngine(t, [
    worker('hang', (_input, task) => untilAborted(task), { maxNumTasks: 1 }),
  ])
  const { task } = await engine.submit('hang', null)
  t.match(await engine.wait(task.id, 10), { status: 'running' })
  const gone = new AbortController()
  const waiting = engine.wait(task.id, WAIT, gone.signal)
  gone.abort()
  t.match(await waiting, { status: 'running' })
  const queued = await engine.submit('hang', null)
  const both = Promise.all([engine.wait(task.id, WAIT), engine.wait(queued.task.id, WAIT)])
  await engine.stop(0)
  const [ran, never] = await both
  t.match(ran, { status: 'failed', error: { code: 'server-stopping' } })
  t.match(never, { status: 'queued' })
})

t.test(
  'a worker cannot change the input of the task, nor its output once it has returned it',
  async (t) => {
    const output = { list: [1] }
    const engine = startEngine(t, [
      worker('meddler', (input: { n: number }) => {
        input.n = 99
        return output
      }),
    ])
    const { task } = await engine.submit('meddler', { n: 1 })
    await engine.wait(task.id, WAIT)
    output.list.push(2)
    t.match(await engine.get(task.id), { input: { n: 1 }, output: { list: [1] } })
  },
)

t.test(
  'a failed attempt is made again while the policy allows it and the error does not forbid it',
  async (t) => {
    let calls = 0
    const engine = startEngine(t, [
      worker(
        'flaky',
        ({ failures, retryable }: { failures: number; retryable: boolean }, task) => {
          calls++
          if (task.attempt <= failures)
            throw new TaskError('flaky', `attempt ${task.attempt}`, { retryable })
          return task.attempt
        },
        { retry: { retries: 2, delayMs: 1 } },
      ),
    ])
    const run = async (input: object, options = {}) => {
      calls = 0
      const { task } = await engine.submit('flaky', { retryable: true, ...input }, options)
      return engine.wait(task.id, WAIT)
    }
    t.match(await run({ failures: 2 }), { status: 'completed', output: 3, attempt: 3 })
    t.match(await run({ failures: 3 }), {
      status: 'failed',
      attempt: 3,
      error: { code: 'flaky', message: 'attempt 3' },
    })
    t.match(await run({ failures: 1, retryable: false }), { status: 'failed', attempt: 1 })
    t.match(await run({ failures: 5 }, { retry: { retries: 5 } }), {
      status: 'completed',
      attempt: 6,
    })
    t.match(await run({ failures: 1 }, { retry: { retries: 0 } }), { status: 'failed', attempt: 1 })
    t.equal(calls, 1)
    const deadline = Date.now() + 200
    t.match(
      await run({ failures: 1 }, { retry: { retries: 9, delayMs: 60_000 }, deadline }),
      { status: 'failed', attempt: 1 },
      'no retry past the deadline',
    )
  },
)

t.test(
  'a timeout aborts with a typed reason, and fails whatever the worker then does',
  async (t) => {
    const reasons: unknown[] = []
    const engine = startEngine(t, [
      worker('obedient', (_input, task) => untilAborted(task), { timeout: 20 }),
      worker('late', async (_input, task) => {
        await untilAborted(task).catch((reason) => reasons.push(reason))
        return 'too late'
      }),
    ])
    const own = await engine.submit('obedient', null)
    t.match(await engine.wait(own.task.id, WAIT), {
      status: 'failed',
      error: { code: 'timeout', retryable: true, message: /20 ms/ },
    })
    const late = await engine.submit('late', null, { timeout: 10 })
    t.match(await engine.wait(late.task.id, WAIT), {
      status: 'failed',
      error: { code: 'timeout' },
      output: undefined,
    })
    t.ok(reasons[0] instanceof TaskTimedOut)
    const again = await engine.submit('obedient', null, { retry: { retries: 1, delayMs: 1 } })
    t.match(await engine.wait(again.task.id, WAIT), { status: 'failed', attempt: 2 })
    const dead = await engine.submit('late', null, { deadline: Date.now() + 20 })
    t.match(await engine.wait(dead.task.id, WAIT), {
      status: 'failed',
      error: { code: 'deadline-exceeded', retryable: false },
    })
  },
)

t.test(
  'a cancel is honest: canceling until the work has let go, and its result where it came too late',
  async (t) => {
    const reasons: unknown[] = []
    const release = Promise.withResolvers<string>()
    const engine = startEngine(t, [
      worker('obedient', (_input, task) => untilAborted(task)),
      worker('deaf', () => release.promise, { maxNumTasks: 1 }),
      worker('thrower', async (_input, task) => {
        await untilAborted(task).catch((reason) => reasons.push(reason))
        throw new Error('the connection was closed under me')
      }),
    ])
    const { task } = await engine.submit('obedient', null)
    await engine.wait(task.id, 5)
    await engine.act(task.id, 'cancel')
    t.match(await engine.wait(task.id, WAIT), {
      status: 'canceled',
      error: { code: 'canceled', retryable: false },
    })

    const deaf = await engine.submit('deaf', null)
    const behind = await engine.submit('deaf', null)
    await engine.wait(deaf.task.id, 5)
    t.match(await engine.act(deaf.task.id, 'cancel'), { status: 'canceling' })
    t.match(await engine.wait(behind.task.id, 20), { status: 'queued' }, 'it holds its slot')
    release.resolve('done all the same')
    t.match(await engine.wait(deaf.task.id, WAIT), {
      status: 'completed',
      output: 'done all the same',
    })
    t.match(await engine.wait(behind.task.id, WAIT), { status: 'completed' })

    const thrower = await engine.submit('thrower', null, { retry: { retries: 3 } })
    await engine.wait(thrower.task.id, 5)
    await engine.act(thrower.task.id, 'cancel')
    t.match(await engine.wait(thrower.task.id, WAIT), { status: 'canceled', attempt: 1 })
    t.ok(reasons[0] instanceof TaskCanceled)
  },
)

t.test('pause holds a worker at its checkpoint, and its timeout stands still', async (t) => {
  let steps = 0
  const engine = startEngine(t, [
    worker('stepper', async (_input, task) => {
      for (;;) {
        await task.checkpoint()
        steps++
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    }),
    worker('rigid', (_input, task) => untilAborted(task)),
  ])
  const { task } = await engine.submit('stepper', null, { timeout: 150 })
  await engine.wait(task.id, 20)
  t.match(await engine.act(task.id, 'pause'), { status: 'paused' })
  await engine.wait(task.id, 5)
  const before = steps
  t.match(await engine.wait(task.id, 250), { status: 'paused' }, 'longer than its timeout')
  t.equal(steps, before)
  t.match(await engine.act(task.id, 'resume'), { status: 'running' })
  t.match(await engine.wait(task.id, WAIT), { status: 'failed', error: { code: 'timeout' } })
  t.ok(steps > before)

  const rigid = await engine.submit('rigid', null)
  await engine.wait(rigid.task.id, 5)
  await t.rejects(engine.act(rigid.task.id, 'pause'), { code: 'action-refused' }, 'it never looks')
  const paused = await engine.submit('stepper', null)
  await engine.wait(paused.task.id, 10)
  await engine.act(paused.task.id, 'pause')
  await engine.act(paused.task.id, 'cancel')
  t.match(
    await engine.wait(paused.task.id, WAIT),
    { status: 'canceled' },
    'a paused task can be canceled',
  )
})

t.test('a worker that has a signal of its own is asked', async (t) => {
  const asked: string[] = []
  let answer: unknown = true
  const engine = startEngine(t, [
    worker('asked', (_input, task) => untilAborted(task), {
      signal: (action) => {
        asked.push(action)
        if (answer === 'throw') throw new Error('no idea')
        return answer as boolean
      },
    }),
  ])
  const { task } = await engine.submit('asked', null)
  await engine.wait(task.id, 5)
  t.match(await engine.act(task.id, 'pause'), { status: 'paused' })
  t.match(await engine.act(task.id, 'resume'), { status: 'running' })
  t.match(await engine.act(task.id, 'restart'), { id: task.id, status: 'running' })
  answer = false
  for (const action of ['pause', 'restart', 'cancel'] as const) {
    await t.rejects(engine.act(task.id, action), { code: 'action-refused' }, action)
  }
  answer = 'throw'
  await t.rejects(engine.act(task.id, 'pause'), { code: 'action-refused' })
  await engine.act(task.id, 'cancel')
  t.match(
    await engine.wait(task.id, WAIT),
    { status: 'canceled' },
    'a broken signal does not keep a task alive',
  )
  t.same(asked, ['pause', 'resume', 'restart', 'pause', 'restart', 'cancel', 'pause', 'cancel'])
})

t.test('an answer that comes after its attempt is of no attempt after it', async (t) => {
  const answers: PromiseWithResolvers<boolean>[] = []
  const attempts: PromiseWithResolvers<void>[] = []
  const engine = startEngine(t, [
    worker(
      'slow-to-answer',
      async (_input, task) => {
        const attempt = Promise.withResolvers<void>()
        attempts.push(attempt)
        await Promise.race([attempt.promise, untilAborted(task)])
        throw new TaskError('again', 'again', { retryable: true })
      },
      {
        retry: { retries: 5, delayMs: 1 },
        signal: () => {
          const answer = Promise.withResolvers<boolean>()
          answers.push(answer)
          return answer.promise
        },
      },
    ),
  ])
  const { task } = await engine.submit('slow-to-answer', null)
  await until(() => attempts.length === 1)
  const pausing = engine.act(task.id, 'pause')
  const canceling = engine.act(task.id, 'cancel')
  attempts[0]?.resolve()
  await until(() => attempts.length === 2)
  for (const answer of answers.splice(0)) answer.resolve(true)
  t.equal((await pausing).status, 'running')
  await until(() => answers.length === 1)
  answers[0]?.resolve(true)
  await canceling
  t.match(await engine.wait(task.id, WAIT), { status: 'canceled', attempt: 2 })
})

t.test('all who pause before the first checkpoint are answered', async (t) => {
  let reach = () => {}
  let isDone = false
  const engine = startEngine(t, [
    worker('checking', async (_input, task) => {
      await new Promise<void>((resolve) => {
        reach = resolve
      })
      while (!isDone) {
        await task.checkpoint()
        await new Promise((resolve) => setImmediate(resolve))
      }
    }),
  ])
  const { task } = await engine.submit('checking', null)
  await engine.wait(task.id, 5)
  const pausing = Promise.allSettled([1, 2, 3].map(() => engine.act(task.id, 'pause')))
  reach()
  t.match(await pausing, Array(3).fill({ status: 'fulfilled', value: { status: 'paused' } }))
  isDone = true
  await engine.act(task.id, 'resume')
  t.match(await engine.wait(task.id, WAIT), { status: 'completed' })
})

t.test(
  'who waits for a task that goes back to its queue at the stop is answered then',
  async (t) => {
    let fail = () => {}
    const engine = startEngine(t, [
      worker(
        'again',
        () =>
          new Promise((_resolve, reject) => {
            fail = () => reject(new TaskError('again', 'again', { retryable: true }))
          }),
        { retry: { retries: 1, delayMs: 1 } },
      ),
      worker('hang', (_input, task) => untilAborted(task)),
    ])
    const { task } = await engine.submit('again', null)
    const { task: hung } = await engine.submit('hang', null)
    await engine.wait(hung.id, 5)
    const waiting = engine.wait(task.id, WAIT)
    const stopping = engine.stop(WAIT)
    fail()
    t.match(await waiting, { status: 'queued', attempt: 1 })
    await engine.act(hung.id, 'cancel')
    await stopping
  },
)

t.test('restart makes a new task that names the old one', async (t) => {
  const engine = startEngine(t, [
    worker('echo', (input: unknown) => input),
    worker('hang', (_input, task) => untilAborted(task)),
  ])
  const { task } = await engine.submit(
    'echo',
    { a: 1 },
    { tags: ['x'], priority: 7, timeout: 1_000, idempotencyKey: 'k' },
  )
  await engine.wait(task.id, WAIT)
  const again = await engine.act(task.id, 'restart')
  t.not(again.id, task.id)
  t.match(again, {
    restartOf: task.id,
    tags: ['x'],
    priority: 7,
    input: { a: 1 },
    options: { timeout: 1_000 },
  })
  t.match(await engine.wait(again.id, WAIT), { status: 'completed', output: { a: 1 } })
  const queued = await engine.submit('hang', null, { runAt: Date.now() + 60_000 })
  await t.rejects(engine.act(queued.task.id, 'restart'), { code: 'action-not-allowed' })
  const running = await engine.submit('hang', null)
  await engine.wait(running.task.id, 5)
  await t.rejects(engine.act(running.task.id, 'restart'), { code: 'action-refused' })
})

t.test('a disabled worker refuses submits and leaves its queue alone', async (t) => {
  let says: unknown = 'enabled'
  const engine = startEngine(t, [
    worker('w', () => null, {
      maxNumTasks: 1,
      status: () => {
        if (says === 'throw') throw new Error('no idea')
        return says as 'enabled'
      },
    }),
  ])
  t.match(await engine.configure('w', { enabled: false, maxNumTasks: 3 }), {
    status: 'disabled',
    worker: { maxNumTasks: 3 },
  })
  await t.rejects(engine.submit('w', null), { code: 'worker-disabled' })
  t.match(await engine.configure('w', { enabled: true }), { status: 'enabled' })
  says = 'disabled'
  await t.rejects(engine.submit('w', null), { code: 'worker-disabled' })
  says = 'throw'
  await t.rejects(engine.submit('w', null), { code: 'worker-disabled' })
})

t.test('a batch is all or nothing, and its key covers it', async (t) => {
  const input = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
  const engine = startEngine(t, [
    worker('w', () => null, { details: { description: 'w', input, output: {} } }),
  ])
  await t.rejects(engine.submitAll('w', [{ n: 1 }, { n: 'two' }]), {
    code: 'invalid-input',
    faults: [{ path: '/1/n' }],
  })
  t.same((await engine.list({ limit: 10 })).tasks, [])
  const first = await engine.submitAll('w', [{ n: 1 }, { n: 2 }], { idempotencyKey: 'k' })
  const again = await engine.submitAll('w', [{ n: 1 }, { n: 2 }], { idempotencyKey: 'k' })
  t.same(
    again.map(({ task }) => task.id),
    first.map(({ task }) => task.id),
  )
  t.ok(again.every(({ replayed }) => replayed))
  await t.rejects(engine.submitAll('w', [{ n: 1 }, { n: 3 }], { idempotencyKey: 'k' }), {
    code: 'idempotency-mismatch',
  })
  await t.rejects(engine.submitAll('w', [{ n: 1 }, { n: 2 }, { n: 3 }], { idempotencyKey: 'k' }), {
    code: 'idempotency-mismatch',
  })
})

t.test('finished tasks are kept to their number', async (t) => {
  const engine = startEngine(t, [worker('w', () => null)], {
    retention: { maxAgeMs: 3_600_000, maxFinished: 50 },
  })
  let last = ''
  for (let i = 0; i < 20; i++) {
    const tasks = await engine.submitAll(
      'w',
      Array.from({ length: 20 }, () => null),
    )
    last = tasks.at(-1)?.task.id ?? ''
    await engine.wait(last, WAIT)
  }
  await new Promise((resolve) => setImmediate(resolve))
  const { counts } = await engine.worker('w')
  t.ok(counts.completed <= 51 && counts.completed >= 50, `${counts.completed} are kept`)
  t.match(await engine.get(last), { status: 'completed' }, 'the newest among them')
})

t.test(
  'stop lets running tasks finish within the grace, and is told of those that do not',
  async (t) => {
    const log = new KeptLog()
    const finish = Promise.withResolvers<string>()
    const engine = startEngine(t, [worker('w', () => finish.promise, { maxNumTasks: 1 })], { log })
    const { task } = await engine.submit('w', null)
    await engine.wait(task.id, 5)
    const waiting = engine.wait(task.id, WAIT)
    const stopped = engine.stop(WAIT)
    t.equal(engine.stop(0), stopped, 'stopping twice is stopping once')
    await t.rejects(engine.submit('w', null), { code: 'stopping', retryAfter: 5 })
    finish.resolve('in time')
    await stopped
    t.match(await waiting, { status: 'completed', output: 'in time' })
    t.same(log.lines, [])
  },
)

t.test('stop does not wait for a worker that ignores its signal', async (t) => {
  const log = new KeptLog()
  const engine = startEngine(t, [worker('deaf', () => new Promise(() => {}))], { log })
  const { task } = await engine.submit('deaf', null)
  await engine.wait(task.id, 5)
  await engine.stop(10)
  t.match(log.lines, [/grace is over/, /left behind/])
})

t.test('what a worker did not mean to throw is in the log, whatever it is', async (t) => {
  const log = new KeptLog()
  const hostile = Object.defineProperty(new Error('x'), 'stack', {
    get: () => {
      throw new Error('no')
    },
  })
  const thrown = [new Error('a defect'), undefined, hostile, new TaskError('meant', 'no defect')]
  const engine = startEngine(t, [worker('w', (i: number) => Promise.reject(thrown[i]))], { log })
  for (const i of thrown.keys()) {
    const { task } = await engine.submit('w', i)
    t.match(await engine.wait(task.id, WAIT), { status: 'failed' })
  }
  t.same(log.lines, ['worker threw', 'worker threw', 'worker threw'])
})
