import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type AppOptions, createApp } from '../../src/app.ts'
import type { Status } from '../../src/task/lifecycle.ts'
import type { Task } from '../../src/task/task.ts'
import { until } from '../until.ts'

const WITHIN_MS = 30_000

/** An application that performs, closed when the test ends. */
export async function startApp(t: Test, options: AppOptions = {}): Promise<FastifyInstance> {
  const app = await createApp({ logLevel: 'silent', graceMs: 0, ...options })
  t.teardown(() => app.close())
  await app.ready()
  return app
}

/** Submits a task and resolves with its id. */
export async function submit(
  app: FastifyInstance,
  worker: string,
  input?: unknown,
): Promise<string> {
  const { task } = await app.errand.submit(worker, input)
  return task.id
}

/** Resolves with a task once it has settled. */
export async function settled(app: FastifyInstance, id: string): Promise<Task> {
  const task = await app.errand.wait(id, WITHIN_MS)
  if (task.finishedAt === undefined) throw new Error(`${id} is ${task.status}, not settled`)
  return task
}

/** Submits a task and resolves with it once it has settled. */
export async function perform(
  app: FastifyInstance,
  worker: string,
  input?: unknown,
): Promise<Task> {
  return settled(app, await submit(app, worker, input))
}

/** Resolves once a task has a status. */
export async function inStatus(app: FastifyInstance, id: string, status: Status): Promise<void> {
  await until(async () => (await app.errand.get(id)).status === status)
}
