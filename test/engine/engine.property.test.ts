import fc from 'fast-check'
import t from 'tap'
import { Engine } from '../../src/engine/engine.ts'
import { Registry } from '../../src/engine/registry.ts'
import { Secrets } from '../../src/engine/secrets.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { EgressPolicy } from '../../src/task/egress.ts'
import { ErrandError } from '../../src/task/errors.ts'
import { EDGES, holdsSlot, INITIAL, isTerminal, type Status } from '../../src/task/lifecycle.ts'
import type { Task } from '../../src/task/task.ts'
import type { TaskContext } from '../../src/task/worker.ts'
import { KeptLog } from './fixture.ts'

/** What a task's worker does, drawn at random and carried in its input. */
const behaviour = fc.record({
  /** Event-loop turns before it ends. */
  turns: fc.nat(6),
  ends: fc.constantFrom('return', 'throw', 'fail', 'bad-output'),
  honoursAbort: fc.boolean(),
  checkpoints: fc.boolean(),
})

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      input: behaviour,
      priority: fc.integer({ min: 0, max: 9 }),
      delay: fc.constantFrom(0, 0, 0, 1, 3),
      timeout: fc.constantFrom(undefined, undefined, 1, 4),
      deadline: fc.constantFrom(undefined, undefined, undefined, 5),
      retries: fc.nat(2),
      onLimit: fc.constantFrom('queue' as const, 'queue' as const, 'reject' as const),
      key: fc.constantFrom(undefined, undefined, 'a', 'b'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'cancel' as const,
        'pause' as const,
        'resume' as const,
        'restart' as const,
      ),
      which: fc.nat(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      maxNumTasks: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('enable' as const), enabled: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('turn' as const),
      turns: fc.integer({ min: 1, max: 4 }),
    }),
  },
)

type Command = typeof command extends fc.Arbitrary<infer C> ? C : never
type Behaviour = typeof behaviour extends fc.Arbitrary<infer B> ? B : never

/** Errors that a client can be answered with here; any other is a defect. */
const EXPECTED = [
  'action-not-allowed',
  'action-refused',
  'limit-reached',
  'worker-disabled',
  'idempotency-mismatch',
  'task-not-finished',
  'unknown-task',
]

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** An engine with one worker that behaves as its input says, watched for everything that must always hold. */
class Subject {
  readonly engine: Engine
  readonly faults: string[] = []
  readonly ids: string[] = []
  readonly removed = new Set<string>()
  readonly waits: Promise<Task | undefined>[] = []
  readonly #statuses = new Map<string, Status>()
  readonly #performing = new Set<string>()
  #maxNumTasks: number
  attempts = 0

  constructor(maxNumTasks: number) {
    this.#maxNumTasks = maxNumTasks
    const registry = new Registry()
    registry.add(
      {
        name: 'w',
        details: { description: 'w', input: {}, output: { type: 'string' } },
        maxNumTasks,
        perform: (input: Behaviour, task: TaskContext) => this.#perform(input, task),
      },
      'worker w',
    )
    const store = new MemoryStore()
    this.engine = new Engine({
      registry,
      store,
      log: new KeptLog(),
      retention: { maxAgeMs: 3_600_000, maxFinished: 10_000 },
      maxQueued: 10_000,
      maxOutput: 10_000,
      filesRoot: '/',
      secrets: new Secrets(undefined, {}),
      callbacks: undefined,
      egress: EgressPolicy.parse(''),
    })
    this.engine.start()
    store.watch({ onStatus: (task) => this.#onStatus(task), onProgress: () => {}, onLog: () => {} })
  }

  async run(c: Command): Promise<void> {
    try {
      await this.#run(c)
    } catch (error) {
      const isExpected = error instanceof ErrandError && EXPECTED.includes(error.code)
      if (!isExpected) this.faults.push(`${c.do}: ${error}`)
    }
  }

  /** Lets everything end, and sees that it did. */
  async settle(): Promise<void> {
    await this.engine.configure('w', { enabled: true })
    const end = Date.now() + 5_000
    while (Date.now() < end && (await this.#resumeAndCount()) > 0) await turn()
    for (const id of this.ids) {
      if (this.removed.has(id)) continue
      const { status } = await this.engine.get(id)
      if (!isTerminal(status)) this.faults.push(`${id} was lost as ${status}`)
    }
    const answers = await Promise.all(this.waits)
    for (const task of answers) {
      if (task !== undefined && !isTerminal(task.status))
        this.faults.push(`a waiter was answered with ${task.status}`)
    }
    await turn()
    if (this.#performing.size > 0) this.faults.push(`${this.#performing.size} attempts never ended`)
    await this.#countSlots()
  }

  /** Resumes what is paused, which may hold the slots of others, and counts what has not ended. */
  async #resumeAndCount(): Promise<number> {
    const { tasks } = await this.engine.list({ limit: 500 })
    for (const { id, status } of tasks) {
      if (status === 'paused') await this.run({ do: 'resume', which: this.ids.indexOf(id) })
    }
    return tasks.filter(({ status }) => !isTerminal(status)).length
  }

  /** As many run at once as the limit says, no more and no fewer: every slot came back, once. */
  async #countSlots(): Promise<void> {
    const limit = this.#maxNumTasks
    const input: Behaviour = { turns: 20, ends: 'return', honoursAbort: true, checkpoints: false }
    const inserted = await this.engine.submitAll(
      'w',
      Array.from({ length: limit + 2 }, () => input),
    )
    await turn()
    await turn()
    const { counts } = await this.engine.worker('w')
    if (counts.running !== limit) this.faults.push(`${counts.running} of ${limit} slots are left`)
    for (const { task } of inserted) await this.engine.wait(task.id, 5_000)
  }

  async #run(c: Command): Promise<void> {
    switch (c.do) {
      case 'submit':
        return this.#submit(c)
      case 'turn':
        for (let i = 0; i < c.turns; i++) await turn()
        return
      case 'limit':
        this.#maxNumTasks = c.maxNumTasks
        await this.engine.configure('w', { maxNumTasks: c.maxNumTasks })
        return
      case 'enable':
        await this.engine.configure('w', { enabled: c.enabled })
        return
      case 'remove': {
        const id = this.#pick(c.which)
        if (id === undefined) return
        await this.engine.remove(id)
        this.removed.add(id)
        return
      }
      default: {
        const id = this.#pick(c.which)
        if (id === undefined) return
        const task = await this.engine.act(id, c.do)
        if (task.id !== id) this.#taken(task)
      }
    }
  }

  async #submit(c: Extract<Command, { do: 'submit' }>): Promise<void> {
    const { task, replayed } = await this.engine.submit('w', c.input, {
      priority: c.priority,
      onLimit: c.onLimit,
      retry: { retries: c.retries, delayMs: 1 },
      ...(c.delay > 0 && { runAt: Date.now() + c.delay }),
      ...(c.timeout !== undefined && { timeout: c.timeout }),
      ...(c.deadline !== undefined && { deadline: Date.now() + c.delay + c.deadline }),
      ...(c.key !== undefined && { idempotencyKey: c.key }),
    })
    if (!replayed) this.#taken(task)
  }

  #taken(task: Task): void {
    this.ids.push(task.id)
    // One that is removed before it can be read is answered with unknown-task.
    this.waits.push(this.engine.wait(task.id, 30_000).catch(() => undefined))
  }

  #pick(which: number): string | undefined {
    return this.ids.length === 0 ? undefined : this.ids[which % this.ids.length]
  }

  async #perform(
    { turns, ends, honoursAbort, checkpoints }: Behaviour,
    task: TaskContext,
  ): Promise<unknown> {
    this.attempts++
    if (this.#performing.has(task.id)) this.faults.push(`${task.id} is performed twice at once`)
    if (this.#performing.size >= this.#maxNumTasks)
      this.faults.push(`more than ${this.#maxNumTasks} at once`)
    this.#performing.add(task.id)
    try {
      for (let i = 0; i < turns; i++) {
        if (checkpoints) await task.checkpoint()
        await turn()
        if (honoursAbort) task.signal.throwIfAborted()
      }
      if (ends === 'throw') throw undefined
      if (ends === 'fail') throw new Error('no')
      return ends === 'return' ? 'done' : 1n
    } finally {
      this.#performing.delete(task.id)
    }
  }

  #onStatus(task: Task): void {
    const from = this.#statuses.get(task.id)
    const to = task.status
    this.#statuses.set(task.id, to)
    const isNotice = from === to && holdsSlot(to)
    const isEdge = from === undefined ? INITIAL.includes(to) : EDGES[from].includes(to)
    if (!isEdge && !isNotice) this.faults.push(`${task.id}: ${from} → ${to}`)
  }
}

t.test(
  'whatever is asked in whatever order, every task ends once, by edges of the table, within the limits',
  async (t) => {
    let attempts = 0
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(command, { minLength: 5, maxLength: 60 }),
        async (maxNumTasks, commands) => {
          const subject = new Subject(maxNumTasks)
          try {
            for (const c of commands) await subject.run(c)
            await subject.settle()
          } finally {
            await subject.engine.stop(0)
          }
          attempts += subject.attempts
          if (subject.faults.length > 0) throw new Error(subject.faults.join('\n'))
        },
      ),
      { numRuns: 300 },
    )
    t.ok(attempts > 1_000, `${attempts} attempts were made`)
  },
)
