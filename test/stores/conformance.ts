import type { Test } from 'tap'
import { EDGES, INITIAL, type Status } from '../../src/task/lifecycle.ts'
import type { InsertLimits, Performer, Store } from '../../src/task/store.ts'
import type { Failure, NewTask, Outcome, Task } from '../../src/task/task.ts'

const LIMITS: InsertLimits = { maxQueued: 100, onLimit: 'queue' }
let ids = 0

export function newTask(more: Partial<NewTask> = {}): NewTask {
  return { id: `task-${++ids}`, worker: 'w', input: {}, priority: 4, ...more }
}

/** A performer whose attempts end when the test says so. */
export class ManualPerformer implements Performer {
  readonly began: Task[] = []
  readonly #ends = new Map<string, (outcome: Outcome) => void>()
  readonly #onBegin: ((id: string) => void)[] = []
  accepts = true
  peak = 0

  perform(task: Task): Promise<Outcome> {
    this.began.push(task)
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    this.#ends.set(task.id, resolve)
    this.peak = Math.max(this.peak, this.#ends.size)
    for (const onBegin of this.#onBegin.splice(0)) onBegin(task.id)
    return promise
  }

  act(): boolean {
    return this.accepts
  }

  get running(): string[] {
    return [...this.#ends.keys()]
  }

  end(id: string, outcome: Outcome = { status: 'completed', output: null }): void {
    this.#ends.get(id)?.(outcome)
    this.#ends.delete(id)
  }

  /** Resolves when the next attempt begins. */
  next(): Promise<string> {
    return new Promise((resolve) => this.#onBegin.push(resolve))
  }
}

/** Resolves when the task has the status; every status on the way is checked against the table. */
export function statusOf(store: Store, id: string, wanted: Status): Promise<Task> {
  const { promise, resolve } = Promise.withResolvers<Task>()
  const unwatch = store.watch({
    onStatus: (task) => {
      if (task.id === id && task.status === wanted) done(task)
    },
    onProgress: () => {},
    onLog: () => {},
  })
  const done = (task: Task) => {
    unwatch()
    resolve(task)
  }
  store.get(id).then((task) => {
    if (task?.status === wanted) done(task)
  })
  return promise
}

const failure = { code: 'worker-error', message: 'no', retryable: true }

/** What every store must do. One suite, called with each. */
export function conformance(t: Test, makeStore: () => Promise<Store>): void {
  const open = async (t: Test) => {
    const store = await makeStore()
    t.teardown(() => store.close())
    return store
  }
  const insert = async (store: Store, task: NewTask, limits = LIMITS) => {
    const [inserted] = await store.insert([task], limits)
    if (inserted === undefined) throw new Error('nothing was inserted')
    return inserted
  }

  t.test('a task is queued, performed and completed, and told of in that order', async (t) => {
    const store = await open(t)
    const told: string[] = []
    store.watch({
      onStatus: (task) => told.push(task.status),
      onProgress: () => {},
      onLog: () => {},
    })
    const performer = new ManualPerformer()
    store.consume('w', 1, performer)
    const { task, replayed } = await insert(store, newTask({ id: 'first', input: { a: 1 } }))
    t.equal(task.status, 'queued')
    t.equal(replayed, false)
    t.equal(await performer.next(), 'first')
    performer.end('first', { status: 'completed', output: { b: 2 } })
    const settled = await statusOf(store, 'first', 'completed')
    t.match(settled, { input: { a: 1 }, output: { b: 2 }, attempt: 1, error: undefined })
    t.ok(Number(settled.finishedAt) >= Number(settled.startedAt))
    t.ok(Number(settled.startedAt) >= settled.createdAt)
    t.same(told, ['queued', 'running', 'completed'])
  })

  t.test('no attempt begins before the insert has resolved', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    store.consume('w', 5, performer)
    const inserting = insert(store, newTask())
    t.equal(performer.began.length, 0)
    await inserting
    t.equal(performer.began.length, 0)
    await performer.next()
  })

  t.test('at most the concurrency runs, and what frees a slot lets in the next', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    const consumer = store.consume('w', 2, performer)
    for (let i = 0; i < 6; i++) await insert(store, newTask({ id: `c${i}` }))
    await performer.next()
    t.same(performer.running, ['c0', 'c1'])
    performer.end('c0')
    await performer.next()
    t.same(performer.running, ['c1', 'c2'])
    consumer.setConcurrency(4)
    await performer.next()
    t.same(performer.running, ['c1', 'c2', 'c3', 'c4'])
    consumer.setConcurrency(1)
    for (const id of ['c1', 'c2', 'c3']) {
      performer.end(id)
      await statusOf(store, id, 'completed')
    }
    t.same(performer.running, ['c4'])
    performer.end('c4')
    t.equal(await performer.next(), 'c5')
    t.equal(performer.peak, 4)
  })

  t.test('a suspended consumer takes nothing, and goes on where it was', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    const consumer = store.consume('w', 2, performer)
    consumer.setSuspended(true)
    const { task } = await insert(store, newTask())
    await new Promise((resolve) => setImmediate(resolve))
    t.equal((await store.get(task.id))?.status, 'queued')
    const next = performer.next()
    consumer.setSuspended(false)
    t.equal(await next, task.id)
  })

  t.test('higher priorities first, then first come first served', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    const consumer = store.consume('w', 1, performer)
    consumer.setSuspended(true)
    for (const [id, priority] of [
      ['a', 0],
      ['b', 4],
      ['c', 9],
      ['d', 4],
      ['e', 9],
    ] as const) {
      await insert(store, newTask({ id, priority }))
    }
    consumer.setSuspended(false)
    const order: string[] = []
    for (let i = 0; i < 5; i++) {
      const id = performer.running[0] ?? (await performer.next())
      order.push(id)
      performer.end(id)
      await statusOf(store, id, 'completed')
    }
    t.same(order, ['c', 'e', 'b', 'd', 'a'])
  })

  t.test('a queue is bounded, and a batch is all or nothing', async (t) => {
    const store = await open(t)
    const limits: InsertLimits = { maxQueued: 3, onLimit: 'queue' }
    await store.insert([newTask(), newTask()], limits)
    await t.rejects(store.insert([newTask(), newTask()], limits), {
      code: 'queue-full',
      retryAfter: 1,
    })
    t.equal((await store.counts('w')).queued, 2)
    await store.insert([newTask()], limits)
    await t.rejects(store.insert([newTask({ runAt: Date.now() + 60_000 })], limits), {
      code: 'queue-full',
    })
    await store.insert([newTask({ worker: 'other' })], limits)
    await t.rejects(
      store.insert([newTask(), newTask(), newTask(), newTask()], limits),
      { code: 'batch-too-large', retryAfter: undefined },
      'what never fits is not told to come again',
    )
  })

  t.test('on reject, what could not start at once is refused', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    store.consume('w', 2, performer)
    const limits: InsertLimits = { maxQueued: 100, onLimit: 'reject' }
    await t.rejects(store.insert([newTask(), newTask(), newTask()], limits), {
      code: 'batch-too-large',
    })
    await store.insert([newTask({ id: 'r1' }), newTask({ id: 'r2' })], limits)
    await t.rejects(store.insert([newTask()], limits), { code: 'limit-reached', retryAfter: 1 })
    await performer.next()
    performer.end('r1')
    await statusOf(store, 'r1', 'completed')
    await store.insert([newTask()], limits)
  })

  t.test('a key seen before yields the first task again', async (t) => {
    const store = await open(t)
    const key = { idempotencyKey: 'k', input: { a: [1, { b: 2 }] } }
    const first = await insert(store, newTask(key))
    const again = await insert(store, newTask({ ...key, input: { a: [1, { b: 2 }] } }))
    t.equal(again.task.id, first.task.id)
    t.equal(again.replayed, true)
    await t.rejects(insert(store, newTask({ ...key, input: { a: [1] } })), {
      code: 'idempotency-mismatch',
    })
    const other = await insert(store, newTask({ ...key, worker: 'v' }))
    t.equal(other.replayed, false)
    await t.rejects(
      store.insert(
        [newTask({ ...key, batchSize: 2 }), newTask({ idempotencyKey: 'new', batchSize: 2 })],
        LIMITS,
      ),
      { code: 'idempotency-mismatch' },
      'a batch of which only a part was seen',
    )
    t.equal((await store.counts('w')).queued, 1)
  })

  t.test(
    'a key of a batch whose tasks are partly gone says so, and keeps what is left',
    async (t) => {
      const store = await open(t)
      const performer = new ManualPerformer()
      store.consume('w', 2, performer)
      const batch = (inputs: number[]) =>
        inputs.map((input, i) =>
          newTask({ input, idempotencyKey: `k\0${i}`, batchSize: inputs.length }),
        )
      const [first] = await store.insert(batch([1, 2]), LIMITS)
      const id = first?.task.id ?? ''
      await performer.next()
      performer.end(id)
      await statusOf(store, id, 'completed')
      await store.remove(id)
      await t.rejects(store.insert(batch([1, 2]), LIMITS), { code: 'idempotency-expired' })
      await t.rejects(store.insert(batch([1, 3]), LIMITS), { code: 'idempotency-mismatch' })
      const [last] = performer.running
      performer.end(last ?? '')
      await statusOf(store, last ?? '', 'completed')
      await store.remove(last ?? '')
      t.match(await store.insert(batch([1, 2]), LIMITS), [{ replayed: false }, { replayed: false }])
    },
  )

  t.test('an action that an attempt took is of no attempt after it', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    const asked: PromiseWithResolvers<boolean>[] = []
    store.consume('w', 1, {
      perform: (task) => performer.perform(task),
      act() {
        const answer = Promise.withResolvers<boolean>()
        asked.push(answer)
        return answer.promise
      },
    })
    const { task } = await insert(store, newTask())
    await performer.next()
    const pausing = store.act(task.id, 'pause')
    const canceling = store.act(task.id, 'cancel')
    performer.end(task.id, { status: 'failed', error: failure, retryInMs: 0 })
    await performer.next()
    for (const answer of asked.splice(0)) answer.resolve(true)
    t.equal((await pausing).status, 'running', 'the next attempt was not asked to pause')
    t.equal(asked.length, 1, 'a cancel is of the task, and so of its next attempt')
    asked[0]?.resolve(true)
    t.equal((await canceling).status, 'canceling')
    performer.end(task.id, { status: 'canceled', error: failure })
    await statusOf(store, task.id, 'canceled')
  })

  t.test('a suspended task holds no slot, and the first answer settles it', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    store.consume('w', 1, performer)
    const expired: Failure = { code: 'late', message: 'too late', retryable: false }
    const ask = {
      status: 'suspended',
      question: { request: 'q', reference: 'r', type: 'text' },
      expired,
    } as const
    const suspend = async (more: Partial<NewTask> = {}, outcome: Outcome = ask) => {
      const { task } = await insert(store, newTask(more))
      const began = performer.running[0] ?? (await performer.next())
      const waiting = statusOf(store, task.id, 'waiting')
      performer.end(began, outcome)
      return waiting
    }
    const first = await suspend()
    const second = await suspend()
    t.match(second, { status: 'waiting', question: { request: 'q', reference: 'r' }, attempt: 1 })
    t.match(await store.counts('w'), { waiting: 2, running: 0 })
    t.match(await store.list({ statuses: ['waiting'], worker: 'w', limit: 10 }), {
      tasks: [{ id: second.id }, { id: first.id }],
    })
    await t.rejects(store.remove(first.id), { code: 'task-not-finished' })
    await t.rejects(store.act(first.id, 'pause'), { code: 'action-not-allowed' })
    const answers = await Promise.allSettled([
      store.answer(first.id, { a: 1 }, 'ada'),
      store.answer(first.id, { a: 2 }, 'bob'),
    ])
    t.match(answers, [
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'action-not-allowed' } },
    ])
    t.match(await store.get(first.id), {
      status: 'completed',
      output: { a: 1 },
      question: { answeredBy: 'ada', answeredAt: Number },
    })
    t.match(await store.act(second.id, 'cancel'), {
      status: 'canceled',
      error: { code: 'canceled' },
    })
    await t.rejects(store.answer(second.id, null, 'ada'), { code: 'action-not-allowed' })
    await t.rejects(store.answer('nobody', null, 'ada'), { code: 'unknown-task' })
    const soon = { ...ask, question: { ...ask.question, expiresAt: Date.now() + 30 } }
    const late = await suspend({}, soon)
    t.match(await statusOf(store, late.id, 'failed'), { error: expired })
    const due = await suspend({ options: { deadline: Date.now() + 60 } })
    t.match(await statusOf(store, due.id, 'failed'), { error: { code: 'deadline-exceeded' } })
    const { task: canceled } = await insert(store, newTask())
    const began = performer.running[0] ?? (await performer.next())
    await store.act(canceled.id, 'cancel')
    performer.end(began, ask)
    await statusOf(store, canceled.id, 'canceled')
  })

  t.test('a scheduled task is queued at its time', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    store.consume('w', 1, performer)
    const runAt = Date.now() + 30
    const { task } = await insert(store, newTask({ runAt }))
    t.match(task, { status: 'scheduled', runAt })
    t.equal(await performer.next(), task.id)
    t.ok(Date.now() >= runAt)
    t.equal((await store.get(task.id))?.runAt, undefined)
  })

  t.test(
    'a failed attempt with a wait goes back to its queue, and keeps its error meanwhile',
    async (t) => {
      const store = await open(t)
      const performer = new ManualPerformer()
      store.consume('w', 1, performer)
      const { task } = await insert(store, newTask())
      await performer.next()
      performer.end(task.id, { status: 'failed', error: failure, retryInMs: 20 })
      const waiting = await statusOf(store, task.id, 'queued')
      t.match(waiting, { attempt: 1, error: failure })
      t.ok(Number(waiting.runAt) > Date.now() - 20)
      await performer.next()
      t.equal((await store.get(task.id))?.attempt, 2)
      performer.end(task.id)
      t.equal((await statusOf(store, task.id, 'completed')).error, undefined)
    },
  )

  t.test(
    'what waits is canceled at once; what runs is asked, and canceling until it has let go',
    async (t) => {
      const store = await open(t)
      const performer = new ManualPerformer()
      store.consume('w', 1, performer)
      await store.insert(
        [
          newTask({ id: 'run' }),
          newTask({ id: 'wait' }),
          newTask({ id: 'later', runAt: Date.now() + 60_000 }),
        ],
        LIMITS,
      )
      await performer.next()
      for (const id of ['wait', 'later']) {
        t.match(await store.act(id, 'cancel'), {
          status: 'canceled',
          error: { code: 'canceled' },
          attempt: 0,
        })
      }
      t.match(await store.act('run', 'cancel'), { status: 'canceling' })
      t.match(
        await store.act('run', 'cancel'),
        { status: 'canceling' },
        'once more changes nothing',
      )
      performer.end('run', { status: 'canceled', error: { ...failure, code: 'canceled' } })
      await statusOf(store, 'run', 'canceled')
      await t.rejects(store.act('run', 'cancel'), { code: 'action-not-allowed' })
      await insert(store, newTask({ id: 'next' }))
      t.equal(await performer.next(), 'next', 'the slots came back')
    },
  )

  t.test('a task that is canceled while its retry is due does not run again', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    store.consume('w', 1, performer)
    const { task } = await insert(store, newTask())
    await performer.next()
    performer.end(task.id, { status: 'failed', error: failure, retryInMs: 60_000 })
    await statusOf(store, task.id, 'queued')
    t.match(await store.act(task.id, 'cancel'), { status: 'canceled', attempt: 1 })
    const other = await insert(store, newTask())
    await performer.next()
    await store.act(other.task.id, 'cancel')
    performer.end(other.task.id, { status: 'failed', error: failure, retryInMs: 0 })
    t.match(
      await statusOf(store, other.task.id, 'canceled'),
      { attempt: 1 },
      'nor one that was canceling',
    )
  })

  t.test('an action that the worker does not take changes nothing', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    performer.accepts = false
    store.consume('w', 1, performer)
    const { task } = await insert(store, newTask())
    await performer.next()
    await t.rejects(store.act(task.id, 'cancel'), { code: 'action-refused' })
    await t.rejects(store.act(task.id, 'pause'), { code: 'action-refused' })
    t.equal((await store.get(task.id))?.status, 'running')
  })

  t.test('pause and resume', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    store.consume('w', 1, performer)
    const { task } = await insert(store, newTask({ id: 'p' }))
    await t.rejects(store.act(task.id, 'pause'), { code: 'action-not-allowed' })
    await performer.next()
    await t.rejects(store.act('p', 'resume'), { code: 'action-not-allowed' })
    t.match(await store.act('p', 'pause'), { status: 'paused' })
    t.match(await store.act('p', 'resume'), { status: 'running' })
    await store.act('p', 'pause')
    performer.end('p')
    await statusOf(store, 'p', 'completed')
  })

  t.test('a deadline that passes in the queue fails the task', async (t) => {
    const store = await open(t)
    const { task } = await insert(store, newTask({ options: { deadline: Date.now() + 20 } }))
    t.match(await statusOf(store, task.id, 'failed'), {
      attempt: 0,
      error: { code: 'deadline-exceeded' },
    })
  })

  t.test(
    'progress, log and notice of a running task are kept and told, and ignored once it has settled',
    async (t) => {
      const store = await open(t)
      const told: string[] = []
      store.watch({
        onStatus: (task) => told.push(task.notice ?? task.status),
        onProgress: (_task, progress) => told.push(`${progress.done}`),
        onLog: (_task, entry) => told.push(entry.message),
      })
      const performer = new ManualPerformer()
      store.consume('w', 1, performer)
      const { task } = await insert(store, newTask())
      await performer.next()
      store.report(task.id, { type: 'progress', progress: { done: 7, total: 9 } })
      store.report(task.id, { type: 'log', level: 'warn', message: 'a line' })
      store.report(task.id, { type: 'notice', notice: 'stuck' })
      t.match(await store.get(task.id), { progress: { done: 7, total: 9 }, notice: 'stuck' })
      t.match(await store.logs(task.id, 0), [{ index: 0, level: 'warn', message: 'a line' }])
      t.same(await store.logs(task.id, 1), [])
      const read = await store.logs(task.id, 0)
      store.report(task.id, { type: 'log', level: 'info', message: 'another' })
      t.equal(read.length, 1, 'what was read does not change')
      performer.end(task.id)
      await statusOf(store, task.id, 'completed')
      store.report(task.id, { type: 'log', level: 'info', message: 'late' })
      t.equal((await store.logs(task.id, 0)).length, 2)
      t.same(told, ['queued', 'running', '7', 'a line', 'stuck', 'another', 'completed'])
      await t.rejects(store.logs('nobody', 0), { code: 'unknown-task' })
    },
  )

  t.test('finished tasks are forgotten by hand, by age and by count; others are not', async (t) => {
    const store = await open(t)
    const performer = new ManualPerformer()
    store.consume('w', 10, performer)
    for (let i = 0; i < 8; i++)
      await insert(store, newTask({ id: `f${i}`, idempotencyKey: `key${i}` }))
    await performer.next()
    await t.rejects(store.remove('f7'), { code: 'task-not-finished' })
    for (let i = 0; i < 7; i++) {
      performer.end(`f${i}`)
      await statusOf(store, `f${i}`, 'completed')
    }
    await store.remove('f3')
    await t.rejects(store.remove('f3'), { code: 'unknown-task' })
    t.equal(await store.prune({ finishedBefore: 0, maxFinished: 4, limit: 1 }), 1)
    t.equal(await store.prune({ finishedBefore: 0, maxFinished: 4, limit: 100 }), 1)
    t.equal(await store.get('f1'), undefined)
    t.equal((await store.counts('w')).completed, 4)
    t.equal(await store.prune({ finishedBefore: Date.now() + 1, maxFinished: 100, limit: 100 }), 4)
    t.same(
      (await store.list({ limit: 50 })).tasks.map(({ id }) => id),
      ['f7'],
    )
    t.equal(
      (await insert(store, newTask({ id: 'new', idempotencyKey: 'key0' }))).replayed,
      false,
      'a key goes with its task',
    )
  })

  t.test('lists are filtered and paged', async (t) => {
    const store = await open(t)
    await store.insert(
      [
        newTask({ id: 'l1', tags: ['x', 'y'] }),
        newTask({ id: 'l2', parent: 'p' }),
        newTask({ id: 'l3', tags: ['y'] }),
      ],
      LIMITS,
    )
    await store.insert([newTask({ id: 'l4', worker: 'v', runAt: Date.now() + 60_000 })], LIMITS)
    const ids = async (query: object) =>
      (await store.list({ limit: 10, ...query })).tasks.map(({ id }) => id)
    t.same(await ids({}), ['l4', 'l3', 'l2', 'l1'])
    t.same(await ids({ tag: 'y' }), ['l3', 'l1'])
    t.same(await ids({ tag: 'y', worker: 'v' }), [])
    t.same(await ids({ parent: 'p' }), ['l2'])
    t.same(await ids({ worker: 'v' }), ['l4'])
    t.same(await ids({ statuses: ['scheduled', 'failed'] }), ['l4'])
    t.same(await ids({ since: Date.now() + 60_000 }), [])
    t.same((await ids({ until: Date.now() + 60_000 })).length, 4)
    const page = await store.list({ limit: 3 })
    t.same(page.tasks.length, 3)
    const rest = await store.list({ limit: 3, cursor: page.nextCursor ?? '' })
    t.same(
      rest.tasks.map(({ id }) => id),
      ['l1'],
    )
    t.equal(rest.nextCursor, undefined)
    await t.rejects(store.list({ limit: 1, cursor: 'nonsense' }), { code: 'invalid-cursor' })
  })

  t.test('every edge taken stands in the table', async (t) => {
    const store = await open(t)
    const last = new Map<string, Status>()
    store.watch({
      onStatus: (task) => {
        const from = last.get(task.id)
        const isEdge =
          from === undefined ? INITIAL.includes(task.status) : EDGES[from].includes(task.status)
        if (!isEdge) t.fail(`${from} → ${task.status}`)
        last.set(task.id, task.status)
      },
      onProgress: () => {},
      onLog: () => {},
    })
    const performer = new ManualPerformer()
    store.consume('w', 3, performer)
    const error = { ...failure, code: 'canceled' }
    const outcomes: Exclude<Outcome, { status: 'suspended' }>[] = [
      { status: 'completed', output: 1 },
      { status: 'failed', error: failure },
      { status: 'canceled', error },
    ]
    for (const outcome of outcomes) {
      for (const first of ['none', 'pause', 'cancel'] as const) {
        const { task } = await insert(store, newTask())
        await performer.next()
        if (first !== 'none') await store.act(task.id, first)
        performer.end(task.id, outcome)
        await statusOf(store, task.id, outcome.status)
      }
    }
    const { task } = await insert(store, newTask())
    await performer.next()
    await store.act(task.id, 'pause')
    performer.end(task.id, { status: 'failed', error: failure, retryInMs: 60_000 })
    await statusOf(store, task.id, 'queued')
    t.equal(last.size, 10)
  })

  t.test(
    'suspended, it hands out nothing more; closed, twice, it leaves nothing behind',
    async (t) => {
      const store = await open(t)
      const performer = new ManualPerformer()
      store.consume('w', 1, performer)
      await insert(store, newTask({ runAt: Date.now() + 60_000 }))
      store.suspend()
      await insert(store, newTask())
      await new Promise((resolve) => setImmediate(resolve))
      t.equal(performer.began.length, 0)
      await store.close()
      await store.close()
    },
  )
}
