import type { FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { toPointer } from '../src/engine/faults.ts'
import type { SubmitOptions } from '../src/engine/submission.ts'
import { parseDuration } from '../src/task/duration.ts'
import { ErrandError } from '../src/task/errors.ts'
import type { RetryPolicy } from '../src/task/task.ts'
import type { SubmitBody, SubmitQuery } from './schemas.ts'

const MAX_DURATION_MS = 2 ** 31 - 1
const MAX_TAGS = 20
const TAG = /^[^\s,](?:[^,]{0,98}[^\s,])?$/
const KEY = /^[\x21-\x7e][\x20-\x7e]{0,254}$/
const RETRY_BOUNDS: { readonly [key in keyof RetryPolicy]: number } = {
  retries: 1_000,
  delayMs: MAX_DURATION_MS,
  factor: 100,
  maxDelayMs: MAX_DURATION_MS,
  jitter: 1,
}

type Query = Static<typeof SubmitQuery>
type Body = Static<typeof SubmitBody>

/** The options of a submit, from the query and headers of a request whose body is the input. */
export function optionsFromRequest(request: FastifyRequest): SubmitOptions {
  const query = request.query as Query
  const key = request.headers['idempotency-key']
  const options: SubmitOptions = {}
  if (key !== undefined) options.idempotencyKey = parseKey(key)
  // Most submits carry no option at all.
  if (!hasAny(query)) return options
  if (query.retry !== undefined) options.retry = parseRetry(parseRetryText(query.retry))
  if (query.tags !== undefined)
    options.tags = parseTags(query.tags.split(',').map((tag) => tag.trim()))
  return Object.assign(options, parseCommon(query))
}

/** The options of a submit whose body holds them all. */
export function optionsFromBody(request: FastifyRequest, body: Body): SubmitOptions {
  const options: SubmitOptions = {}
  const key = body.idempotencyKey ?? request.headers['idempotency-key']
  if (key !== undefined) options.idempotencyKey = parseKey(key)
  if (body.retry !== undefined) options.retry = parseRetry(body.retry)
  if (body.tags !== undefined) options.tags = parseTags(body.tags)
  return Object.assign(options, parseCommon(body))
}

function hasAny(query: object): boolean {
  for (const _ in query) return true
  return false
}

function parseCommon(
  given: Pick<
    Body,
    'priority' | 'delay' | 'runAt' | 'timeout' | 'deadline' | 'onLimit' | 'callback'
  >,
): SubmitOptions {
  const options: SubmitOptions = {}
  if (given.priority !== undefined) options.priority = given.priority
  if (given.onLimit !== undefined) options.onLimit = given.onLimit
  if (given.callback !== undefined) options.callback = parseCallback(given.callback)
  if (given.timeout !== undefined) options.timeout = parseMs('timeout', given.timeout, 1)
  if (given.delay !== undefined) options.runAt = Date.now() + parseMs('delay', given.delay, 0)
  if (given.runAt !== undefined) {
    if (given.delay !== undefined) throw refuse('delay', 'and runAt exclude each other')
    options.runAt = parseTime('runAt', given.runAt)
  }
  if (options.onLimit === 'reject' && options.runAt !== undefined) {
    throw refuse('onLimit', 'cannot be reject for a task that starts later')
  }
  if (given.deadline !== undefined) {
    options.deadline = parseTime('deadline', given.deadline)
    if (options.deadline <= Math.max(Date.now(), options.runAt ?? 0)) {
      throw refuse('deadline', 'lies before the task could start')
    }
  }
  return options
}

/** As it is sent, without the fragment; credentials have no place in what every reader of the task sees. */
function parseCallback(text: string): string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw refuse('callback', 'must be a URL of http or https')
  if (url.username !== '' || url.password !== '')
    throw refuse('callback', 'must not hold a user or a password')
  url.hash = ''
  return url.href
}

function parseMs(name: string, value: number | string, min: number): number {
  const ms = typeof value === 'number' ? value : parseDuration(value)
  if (ms === undefined || ms < min || ms > MAX_DURATION_MS) {
    throw refuse(
      name,
      `must be from ${min} to ${MAX_DURATION_MS} milliseconds, such as 1500 or 90s`,
    )
  }
  return ms
}

function parseTime(name: string, value: string): number {
  const time = Date.parse(value)
  if (Number.isNaN(time))
    throw refuse(name, 'must be a time of RFC 3339, such as 2030-01-31T12:00:00Z')
  return time
}

function parseTags(tags: readonly string[]): string[] {
  if (tags.length > MAX_TAGS) throw refuse('tags', `must be at most ${MAX_TAGS}`)
  if (!tags.every((tag) => TAG.test(tag)))
    throw refuse('tags', 'must each have 1 to 100 characters and no comma')
  return [...new Set(tags)]
}

function parseKey(key: string | string[]): string {
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw refuse('idempotencyKey', 'must have 1 to 255 printable ASCII characters')
  }
  return key
}

function parseRetryText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuse('retry', 'must be a whole number or a JSON object')
  }
}

function parseRetry(value: unknown): Partial<RetryPolicy> {
  const policy: unknown = typeof value === 'number' ? { retries: value } : value
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) {
    throw refuse('retry', 'must be a whole number or an object')
  }
  for (const [key, given] of Object.entries(policy)) {
    const max = RETRY_BOUNDS[key as keyof RetryPolicy]
    if (max === undefined) throw refuse(`retry/${toPointer(key)}`, 'is not known here')
    const fits = typeof given === 'number' && given >= 0 && given <= max
    if (!fits || (key === 'retries' && !Number.isInteger(given))) {
      throw refuse(
        `retry/${key}`,
        `must be a ${key === 'retries' ? 'whole ' : ''}number from 0 to ${max}`,
      )
    }
  }
  return policy
}

function refuse(name: string, message: string): ErrandError {
  return new ErrandError('invalid-request', `The option ${name} ${message}.`, {
    faults: [{ path: `/${name}`, message }],
  })
}
