import type { TSchema } from 'typebox'
import { ErrandError } from '../task/errors.ts'
import { didYouMean } from '../task/nearest.ts'
import type { RetryPolicy } from '../task/task.ts'
import type { AnyWorker } from '../task/worker.ts'

const MAX_TIMEOUT = 2 ** 31 - 1
const NAME = /^[a-z][a-z0-9-]{0,63}$/
const MEMBERS = [
  'name',
  'details',
  'maxNumTasks',
  'timeout',
  'retry',
  'isolate',
  'perform',
  'respond',
  'signal',
  'status',
]
const DETAILS = ['description', 'input', 'output', 'example']
const RETRY_BOUNDS: { readonly [key in keyof RetryPolicy]: number } = {
  retries: 1_000,
  delayMs: MAX_TIMEOUT,
  factor: 100,
  maxDelayMs: MAX_TIMEOUT,
  jitter: 1,
}

/** A JSON Schema as it stands in a document. */
export type Schema = TSchema & { readonly [keyword: string]: unknown }

/**
 * The definition of a worker from whatever a module exports.
 *
 * @param source what to name in the error: the file, for one
 * @throws {@link ErrandError} `invalid-worker`
 */
export function parseDefinition(definition: unknown, source: string): AnyWorker {
  const need = (holds: boolean, fault: string) => {
    if (!holds) throw invalid(source, fault)
  }
  const needKnown = (given: object, known: readonly string[], within = '') => {
    for (const member of Object.keys(given)) {
      const hint = didYouMean(member, known)
      need(
        known.includes(member),
        `${within}${member} is not known${hint}: ${known.join(', ')} are`,
      )
    }
  }
  need(isObject(definition), 'it is no object: export default defineWorker({ ... })')
  needKnown(definition as object, MEMBERS)
  // The members are checked one by one below; this only gives them names.
  const worker = definition as unknown as AnyWorker
  need(
    typeof worker.name === 'string' && NAME.test(worker.name),
    `name must match ${NAME.source}, not ${JSON.stringify(worker.name)}`,
  )
  need(isObject(worker.details), 'details must be an object with a description')
  needKnown(worker.details, DETAILS, 'details.')
  need(typeof worker.details.description === 'string', 'details.description must be a string')
  need(typeof worker.perform === 'function', 'perform must be a function')
  for (const member of ['input', 'output'] as const) {
    const schema: unknown = worker.details[member]
    need(schema === undefined || isObject(schema), `details.${member} must be a JSON Schema object`)
  }
  need(
    isWhole(worker.maxNumTasks, 1, 100_000),
    'maxNumTasks must be a whole number from 1 to 100000',
  )
  need(
    isWhole(worker.timeout, 1, MAX_TIMEOUT),
    `timeout must be a whole number of milliseconds from 1 to ${MAX_TIMEOUT}`,
  )
  need(
    worker.isolate === undefined || worker.isolate === 'thread',
    "isolate must be 'thread' or left out",
  )
  need(
    worker.signal === undefined || typeof worker.signal === 'function',
    'signal must be a function',
  )
  need(
    worker.respond === undefined || typeof worker.respond === 'function',
    'respond must be a function',
  )
  need(
    worker.status === undefined || typeof worker.status === 'function',
    'status must be a function',
  )
  if (worker.retry !== undefined) {
    need(isObject(worker.retry), 'retry must be an object')
    needKnown(worker.retry, Object.keys(RETRY_BOUNDS), 'retry.')
    checkRetry(worker.retry, need)
  }
  return worker
}

function checkRetry(retry: object, need: (holds: boolean, fault: string) => void): void {
  for (const [key, value] of Object.entries(retry)) {
    const max = RETRY_BOUNDS[key as keyof RetryPolicy]
    const fits = typeof value === 'number' && value >= 0 && value <= max
    need(fits, `retry.${key} must be a number from 0 to ${max}`)
    need(key !== 'retries' || Number.isInteger(value), 'retry.retries must be a whole number')
  }
}

/**
 * The schema, closed where it lists properties and says nothing of others, so that a misspelt member is
 * refused rather than ignored.
 */
export function closed(schema: Schema): Schema {
  const isOpen =
    schema.type === 'object' &&
    schema.properties !== undefined &&
    [
      'additionalProperties',
      'unevaluatedProperties',
      'patternProperties',
      'allOf',
      'anyOf',
      'oneOf',
      '$ref',
      'if',
      'not',
    ].every((keyword) => schema[keyword] === undefined)
  return isOpen ? { ...schema, additionalProperties: false } : schema
}

/** The error of a definition that is refused. */
export function invalid(source: string, fault: string): ErrandError {
  return new ErrandError('invalid-worker', `${source}: ${fault}.`)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return (
    value === undefined || (Number.isInteger(value) && Number(value) >= min && Number(value) <= max)
  )
}
