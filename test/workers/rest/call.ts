import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Task } from '../../../src/task/task.ts'
import { perform } from '../perform.ts'

/** The output of the worker rest. */
export interface Answer {
  status_code: number
  headers: { [name: string]: string | string[] }
  cookies: { [name: string]: string }
  encoding: string
  text: string
  json?: unknown
}

export function answerOf(task: Task): Answer {
  // The schema of the output has been checked.
  return task.output as unknown as Answer
}

/** The answer of a call that must complete. */
export async function call(t: Test, app: FastifyInstance, input: object): Promise<Answer> {
  const task = await perform(app, 'rest', input)
  t.match(task, { status: 'completed', error: undefined })
  return answerOf(task)
}

/** The task of a call that must fail with a code. */
export async function failed(
  t: Test,
  app: FastifyInstance,
  input: object,
  code: string,
  retryable = false,
): Promise<Task> {
  const task = await perform(app, 'rest', input)
  t.match(task, { status: 'failed', error: { code, retryable } }, code)
  return task
}
