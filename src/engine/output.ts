import { type Json, NotJson, toJson } from '../task/json.ts'
import type { Failure } from '../task/task.ts'
import { isTaskError, toFailure } from './failure.ts'

/**
 * A worker's output from whatever it returned: a copy that nobody can change any more, or why it cannot be
 * JSON. Never throws.
 *
 * @param maxSize in characters of its JSON, roughly
 */
export function toOutput(
  returned: unknown,
  maxSize?: number,
): { output: Json } | { failure: Failure } {
  try {
    return { output: toJson(returned, maxSize) }
  } catch (thrown) {
    if (!(thrown instanceof NotJson)) {
      const { message } = toFailure(thrown)
      return { failure: notJson(message) }
    }
    if (!thrown.tooLarge) return { failure: notJson(thrown.message) }
    const message = `The worker's output is larger than ${maxSize} characters.`
    return { failure: { code: 'output-too-large', message, retryable: false } }
  }
}

/** What a worker had to show when it failed, or undefined where it had nothing that can be kept. */
export function outputOf(thrown: unknown, maxSize?: number): Json | undefined {
  if (!isTaskError(thrown) || thrown.output === undefined) return undefined
  const kept = toOutput(thrown.output, maxSize)
  return 'output' in kept ? kept.output : undefined
}

function notJson(reason: string): Failure {
  return {
    code: 'output-not-json',
    message: `The worker's output cannot be JSON: ${reason}.`,
    retryable: false,
  }
}
