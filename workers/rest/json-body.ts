import { type Json, MAX_DEPTH } from '../../src/task/json.ts'

/**
 * Longer texts are not given as JSON too: both together might be more than the largest output, since each
 * number takes room beside its digits, and then nothing of the answer would be kept.
 */
const MAX_CHARACTERS = 3_145_728
const JSON_TYPE =
  /^\s*(?:application\/json|text\/json|[\w.!#$&^-]+\/[\w.!#$&^+-]+\+json)\s*(?:;|$)/i
/** It stands within the output. */
const DEEPEST = MAX_DEPTH - 2

/** What a text is as JSON, where its content-type says that it is and a task can hold it. */
export function parseJson(text: string, contentType: string | undefined): Json | undefined {
  if (contentType === undefined || !JSON_TYPE.test(contentType)) return undefined
  if (text.length > MAX_CHARACTERS) return undefined
  try {
    const value: Json = JSON.parse(text)
    return canBeKept(value, 0) ? value : undefined
  } catch {
    return undefined
  }
}

/** Whether it is neither too deep nor has a number too large to be one, such as 1e999. */
function canBeKept(value: Json, depth: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return depth < DEEPEST && Object.values(value).every((member) => canBeKept(member, depth + 1))
}
