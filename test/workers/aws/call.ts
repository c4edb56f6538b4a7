import type { FastifyInstance } from 'fastify'
import type { Task } from '../../../src/task/task.ts'
import { perform } from '../perform.ts'
import { KEY, SECRET } from './aws-server.ts'

/** The input of a call to a server of the test. */
export function callOf(url: string, call: object): object {
  return {
    aws_access_key_id: KEY,
    aws_secret_access_key: SECRET,
    region: 'eu-central-1',
    endpoint_url: url,
    ...call,
  }
}

/** Performs a call, and resolves with its task. */
export function call(app: FastifyInstance, url: string, input: object): Promise<Task> {
  return perform(app, 'aws', callOf(url, input))
}

/** The result of a task that must have completed. */
export function resultOf(task: Task): { [name: string]: unknown } {
  const { output } = task
  if (task.status !== 'completed' || typeof output !== 'object' || output === null) {
    throw new Error(`the task is ${task.status}: ${JSON.stringify(task.error)}`)
  }
  return 'result' in output ? Object(output.result) : {}
}
