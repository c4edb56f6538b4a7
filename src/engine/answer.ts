import { ErrandError } from '../task/errors.ts'
import { type Json, toJson } from '../task/json.ts'
import type { Task } from '../task/task.ts'
import { isTaskError, toFailure } from './failure.ts'
import { toOutput } from './output.ts'
import { Redactor } from './redactor.ts'
import type { RegisteredWorker, Registry } from './registry.ts'
import { resolveSecretRefs } from './secret-refs.ts'
import type { Secrets } from './secrets.ts'

/**
 * The output that an answer makes of a task that waits for one.
 *
 * @throws {@link ErrandError} `invalid-answer`, in the worker's words
 */
export async function toAnswerOutput(
  registry: Registry,
  secrets: Secrets,
  worker: RegisteredWorker,
  task: Task,
  answer: unknown,
): Promise<Json> {
  const resolved = await resolveSecretRefs(task.input, (name) => secrets.read(name))
  const returned = await respond(worker, task, resolved.value, answer)
  const output = toOutput(returned)
  if ('failure' in output) throw invalid(task, output.failure.message)
  const fault = registry.outputFault(worker.name, output.output)
  if (fault !== undefined) throw invalid(task, fault)
  const hidden = [...resolved.secrets, ...(worker.secrets?.values(resolved.value) ?? [])]
  return hidden.length === 0 ? output.output : new Redactor(hidden).json(output.output)
}

async function respond(
  { name, definition }: RegisteredWorker,
  task: Task,
  input: Json,
  answer: unknown,
): Promise<unknown> {
  if (definition.respond === undefined) {
    throw new ErrandError('action-not-allowed', `Worker ${name} takes no answers.`)
  }
  try {
    return await definition.respond(answer, toJson(input))
  } catch (thrown) {
    const { message } = toFailure(thrown)
    if (isTaskError(thrown)) throw invalid(task, message)
    throw thrown
  }
}

/** Why a task that does not wait takes no answer. */
export function notWaiting({ id, status, question, error }: Task): ErrandError {
  if (question?.answeredAt !== undefined) {
    return new ErrandError(
      'already-answered',
      `Task ${id} was answered by ${question.answeredBy} at ${new Date(question.answeredAt).toISOString()}: the first answer stands.`,
    )
  }
  const isExpired =
    status === 'failed' && question?.expiresAt !== undefined && question.expiresAt <= Date.now()
  if (isExpired) {
    return new ErrandError(
      'question-expired',
      `The time to answer task ${id} has passed: ${error?.message ?? 'it has failed'}.`,
    )
  }
  return new ErrandError('action-not-allowed', `Task ${id} is ${status}: it waits for no answer.`)
}

function invalid({ id }: Task, fault: string): ErrandError {
  return new ErrandError('invalid-answer', `Task ${id} does not take this answer: ${fault}.`)
}
