import { inspect } from 'node:util'
import type { Failure } from '../task/task.ts'
import { TaskError } from '../task/worker.ts'

const MAX_MESSAGE = 4_096
const CODE = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/

/**
 * The failure that stands for whatever a worker threw. Nothing that can be thrown makes this throw: not
 * undefined, not a circular object, not an error whose getters throw.
 */
export function toFailure(thrown: unknown): Failure {
  try {
    return describeThrown(thrown)
  } catch {
    return {
      code: 'worker-error',
      message: 'The worker threw something that cannot be read.',
      retryable: true,
    }
  }
}

/** The stack of an error, cut, where it has one that can be read. */
export function stackOf(thrown: unknown): string | undefined {
  try {
    return thrown instanceof Error && typeof thrown.stack === 'string'
      ? cut(thrown.stack)
      : undefined
  } catch {
    return undefined
  }
}

function describeThrown(thrown: unknown): Failure {
  if (isTaskError(thrown)) {
    const code = CODE.test(thrown.code) ? thrown.code : 'worker-error'
    return { code, message: cut(thrown.message), retryable: thrown.retryable }
  }
  if (thrown instanceof Error) {
    return { code: 'worker-error', message: cut(thrown.message || thrown.name), retryable: true }
  }
  const shown =
    typeof thrown === 'string' ? thrown : `The worker threw ${inspect(thrown, { depth: 2 })}`
  return {
    code: 'worker-error',
    message: cut(shown || 'The worker threw an empty string.'),
    retryable: true,
  }
}

/** By shape as well as by class: a worker may carry an Errand of its own, or come from a thread. */
export function isTaskError(thrown: unknown): thrown is TaskError {
  if (thrown instanceof TaskError) return true
  return (
    thrown instanceof Error &&
    thrown.name === 'TaskError' &&
    'code' in thrown &&
    typeof thrown.code === 'string' &&
    'retryable' in thrown &&
    typeof thrown.retryable === 'boolean'
  )
}

function cut(message: string): string {
  const text = String(message)
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 1)}…` : text
}
