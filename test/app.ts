import type { AddressInfo } from 'node:net'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { Type } from 'typebox'
import { type AppOptions, createApp } from '../src/app.ts'
import { CATALOGUE, type ErrorCode } from '../src/task/errors.ts'
import type { Json } from '../src/task/json.ts'
import type { Status } from '../src/task/lifecycle.ts'
import type { Failure, Progress, RetryPolicy } from '../src/task/task.ts'
import { type AnyWorker, defineWorker, type TaskContext, TaskError } from '../src/task/worker.ts'

/** A task as it stands on the wire, in any of its forms. */
export interface TaskJson {
  id: string
  worker: string
  status: Status
  attempt: number
  priority: number
  createdAt: string
  runAt?: string
  startedAt?: string
  finishedAt?: string
  durationMs?: number
  tags?: string[]
  parent?: string
  restartOf?: string
  progress?: Progress
  notice?: string
  input?: Json
  output?: Json
  error?: Failure
  timeoutMs?: number
  deadline?: string
  retry?: Partial<RetryPolicy>
}

export interface ProblemJson {
  type: string
  title: string
  status: number
  code: ErrorCode
  detail: string
  errors?: { path: string; message: string }[]
}

export interface FixtureOptions extends AppOptions {
  /** Opened when the test ends, so that nothing is waited for. */
  gates?: readonly Gate[]
}

/** A quiet application without the built-in workers, closed when the test ends. */
export async function makeApp(
  t: Test,
  { gates = [], workers = [], ...options }: FixtureOptions = {},
): Promise<FastifyInstance> {
  const app = await createApp({
    logLevel: 'silent',
    builtins: false,
    graceMs: 0,
    ...options,
    workers: [...workers, ...gates.map((gate) => gate.worker)],
  })
  t.teardown(async () => {
    for (const gate of gates) gate.open()
    await app.close()
  })
  await app.ready()
  return app
}

/** Has the application listen on a free port of loopback, and resolves with its URL. */
export async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** A worker whose tasks run until the test lets them go. */
export class Gate {
  readonly worker: AnyWorker
  /** The labels of the tasks begun, in order. */
  readonly begun: string[] = []
  readonly #doors = new Map<string, PromiseWithResolvers<void>>()
  readonly #arrivals = new Map<string, PromiseWithResolvers<TaskContext>>()
  #isOpen = false

  /** A stubborn one heeds neither cancel nor timeout nor pause. */
  constructor(name = 'gate', options: { maxNumTasks?: number; stubborn?: boolean } = {}) {
    const { maxNumTasks = 10, stubborn = false } = options
    this.worker = defineWorker({
      name,
      maxNumTasks,
      details: {
        description: 'Waits at a gate',
        input: Type.Object({ label: Type.String({ default: '' }) }),
        output: Type.Object({ label: Type.String() }),
      },
      perform: async ({ label }, task) => {
        this.begun.push(label)
        if (!stubborn) await task.checkpoint()
        this.#arrival(label).resolve(task)
        const door = this.#door(label).promise
        await (stubborn ? door : Promise.race([door, aborted(task.signal)]))
        if (!stubborn) await task.checkpoint()
        return { label }
      },
    })
  }

  /** Resolves with the task's context once its attempt has arrived. */
  arrived(label = ''): Promise<TaskContext> {
    return this.#arrival(label).promise
  }

  /** Lets the tasks of one label go. */
  release(label = ''): void {
    this.#door(label).resolve()
  }

  /** Lets all tasks go, those to come among them. */
  open(): void {
    this.#isOpen = true
    for (const door of this.#doors.values()) door.resolve()
  }

  #door(label: string): PromiseWithResolvers<void> {
    const door = this.#doors.get(label) ?? Promise.withResolvers<void>()
    this.#doors.set(label, door)
    if (this.#isOpen) door.resolve()
    return door
  }

  #arrival(label: string): PromiseWithResolvers<TaskContext> {
    const arrival = this.#arrivals.get(label) ?? Promise.withResolvers<TaskContext>()
    this.#arrivals.set(label, arrival)
    return arrival
  }
}

/** Completes at once with its input. */
export const echo = defineWorker({
  name: 'echo',
  details: {
    description: 'Says what it was told',
    input: Type.Object({ text: Type.String(), times: Type.Integer({ default: 1, minimum: 1 }) }),
    output: Type.Object({ text: Type.String() }),
    example: { text: 'hello', times: 2 },
  },
  perform: ({ text, times }) => ({ text: text.repeat(times) }),
})

/** Fails its first attempts, all of them unless told otherwise. */
export const failing = defineWorker({
  name: 'failing',
  details: {
    description: 'Fails',
    input: Type.Object({
      failures: Type.Integer({ default: 1_000 }),
      retryable: Type.Boolean({ default: true }),
    }),
  },
  perform({ failures, retryable }, task) {
    if (task.attempt <= failures) throw new TaskError('no-luck', 'It was not to be.', { retryable })
    return task.attempt
  },
})

/** Submits a task that must be accepted, by default with the worker's own defaults as input. */
export async function submit(
  app: FastifyInstance,
  worker: string,
  input: Json = {},
  query: { readonly [option: string]: string } = {},
): Promise<TaskJson> {
  const response = await app.inject({
    method: 'POST',
    url: `/workers/${worker}`,
    query,
    headers: { 'content-type': 'application/json' },
    payload: JSON.stringify(input),
  })
  if (response.statusCode >= 300) throw new Error(`the submit was refused: ${response.body}`)
  return response.json<TaskJson>()
}

/** The whole task, once it has settled. */
export async function settled(app: FastifyInstance, id: string): Promise<TaskJson> {
  const response = await app.inject(`/tasks/${id}?wait=10`)
  if (response.statusCode !== 200) throw new Error(`the task did not settle: ${response.body}`)
  return response.json<TaskJson>()
}

/** Holds that a response is the problem document of a code, and returns it. */
export function isProblem(t: Test, response: LightMyRequestResponse, code: ErrorCode): ProblemJson {
  const { status, title } = CATALOGUE[code]
  t.equal(response.statusCode, status, `answers ${status}`)
  t.match(response.headers['content-type'], /^application\/problem\+json(;|$)/)
  const problem = response.json<ProblemJson>()
  t.match(problem, { type: `urn:errand:${code}`, title, status, code, detail: String })
  return problem
}

function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  if (signal.aborted) reject(signal.reason)
  else signal.addEventListener('abort', () => reject(signal.reason))
  return promise
}
