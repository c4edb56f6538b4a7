import type { Dispatcher } from 'undici'
import { connectionError } from '../../src/task/connection-error.ts'
import { type TaskContext, TaskError } from '../../src/task/worker.ts'
import { leaseAgent } from './agents.ts'
import { type Answer, joined, toAnswer } from './answer.ts'
import { Cookies } from './cookies.ts'
import { decompress } from './decompress.ts'
import { Exchange, type RawAnswer } from './exchange.ts'
import { RequestHeaders } from './request-headers.ts'
import { Stop } from './stop.ts'

/** What a call is made of: the input of the worker. */
export interface CallInput {
  url: string
  method: string
  data?: unknown
  headers?: { readonly [name: string]: string }
  cookies?: { readonly [name: string]: string }
  cacert?: string
  expected_status_code: readonly number[]
  pass_user_token: boolean
  timeout: number
  max_redirects: number
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** Statuses other than 5xx that tell of a moment, and not of the request. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])
/** Methods that are for proxies, or that show the credentials sent (Fetch, 2.2.1). */
const FORBIDDEN: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])
/** What undici says of an answer that breaks the rules of HTTP. */
const NO_HTTP: ReadonlySet<string> = new Set([
  'HTTPParserError',
  'HeadersOverflowError',
  'ResponseContentLengthMismatchError',
])

/** Calls a service, through its redirects, within the timeout. */
export async function call(input: CallInput, task: TaskContext): Promise<Answer> {
  const one = new Call(input, task)
  const lease = leaseAgent(task.egress, input.cacert)
  const stop = new Stop(task.signal, input.timeout, one)
  try {
    return await one.make(lease.agent, stop)
  } catch (error) {
    throw stop.reason ?? toTaskError(error, one.attempted)
  } finally {
    stop.release()
    lease.release()
  }
}

class Call {
  readonly #input: CallInput
  readonly #headers: RequestHeaders
  readonly #cookies: Cookies
  #url: URL
  #method: string
  #body: string | undefined

  constructor(input: CallInput, task: TaskContext) {
    this.#input = input
    this.#method = toMethod(input.method)
    this.#headers = new RequestHeaders(input.headers)
    this.#cookies = new Cookies(input.cookies)
    this.#body = this.#toBody(input.data)
    this.#url = this.#toUrl(input.url)
    if (input.pass_user_token) this.#headers.set('authorization', userToken(this.#url, task))
  }

  /** What is being attempted, without what may be secret. */
  get attempted(): string {
    return `${this.#method} ${this.#url.origin}${this.#url.pathname}`
  }

  async make(agent: Dispatcher, stop: Stop): Promise<Answer> {
    const { expected_status_code: expected, max_redirects: max } = this.#input
    for (let redirects = 0; ; redirects++) {
      const raw = await this.#exchange(agent).send(stop)
      const { location, 'set-cookie': lines } = raw.headers
      if (lines !== undefined) await this.#cookies.keep(lines, this.#url)
      const isFollowed =
        REDIRECTS.has(raw.status) && location !== undefined && !expected.includes(raw.status)
      if (!isFollowed) return this.#expect(await this.#read(raw, stop))
      if (redirects === max) throw tooMany(this.attempted, max, await this.#read(raw, stop))
      const next = this.#target(location)
      if (next === undefined) throw badRedirect(this.attempted, await this.#read(raw, stop))
      this.#follow(next, raw.status)
    }
  }

  #exchange(agent: Dispatcher): Exchange {
    return new Exchange(agent, {
      origin: this.#url.origin,
      path: this.#url.pathname + this.#url.search,
      method: this.#method,
      headers: this.#headers.toList(this.#cookies.headerFor(this.#url)),
      body: this.#body,
    })
  }

  /** Most answers are neither compressed nor set cookies, and are there at once. */
  #read(raw: RawAnswer, stop: Stop): Answer | Promise<Answer> {
    const coding = joined(raw.headers['content-encoding'])
    if (coding === undefined && !this.#cookies.isSet) return toAnswer(raw, raw.body, {})
    return this.#readOn(raw, coding, stop)
  }

  async #readOn(raw: RawAnswer, coding: string | undefined, stop: Stop): Promise<Answer> {
    const body = coding === undefined ? raw.body : await decompress(raw.body, coding, stop)
    const cookies = this.#cookies.isSet ? await this.#cookies.valid() : {}
    return toAnswer(raw, body, cookies)
  }

  #expect(answer: Answer): Answer {
    const { status_code: status } = answer
    const expected = this.#input.expected_status_code
    if (expected.includes(status)) return answer
    throw new TaskError(
      'unexpected-status',
      `${this.attempted} answered ${status}, and not ${expected.join(', ')} as expected.`,
      { retryable: PASSING.has(status) || status >= 500, output: answer },
    )
  }

  /** Where an answer leads, or undefined where that is no place to go. */
  #target(location: string | string[]): URL | undefined {
    const next = typeof location === 'string' ? URL.parse(location, this.#url) : null
    return next !== null && isHttp(next) ? next : undefined
  }

  #follow(next: URL, status: number): void {
    const isForm = (status === 301 || status === 302) && this.#method === 'POST'
    if (isForm || (status === 303 && this.#method !== 'HEAD')) {
      this.#method = 'GET'
      this.#body = undefined
      this.#headers.dropThoseOfTheBody()
    }
    if (next.origin !== this.#url.origin) {
      this.#headers.dropCredentials()
      this.#cookies.dropGiven()
    }
    const credentials = takeCredentials(next)
    if (credentials !== undefined) this.#headers.set('authorization', credentials)
    this.#url = next
  }

  #toUrl(text: string): URL {
    const url = URL.parse(text)
    if (url === null || !isHttp(url)) {
      throw new TaskError('invalid-url', 'url must be an absolute URL of http or https.', {
        retryable: false,
      })
    }
    const isGiven = this.#headers.has('authorization')
    const credentials = takeCredentials(url)
    if (credentials !== undefined && !isGiven) this.#headers.set('authorization', credentials)
    return url
  }

  #toBody(data: unknown): string | undefined {
    if (data === undefined || typeof data === 'string') return data
    if (!this.#headers.has('content-type')) this.#headers.set('content-type', 'application/json')
    return JSON.stringify(data)
  }
}

function toMethod(name: string): string {
  const method = name.toUpperCase()
  if (!FORBIDDEN.has(method)) return method
  throw new TaskError('invalid-method', `The method ${method} is not sent.`, { retryable: false })
}

/** As `Authorization`. Another server than this one must never be sent it. */
function userToken(url: URL, task: TaskContext): string {
  const token = task.userToken(url.href)
  if (token !== undefined) return `Bearer ${token}`
  throw new TaskError(
    'no-user-token',
    `pass_user_token sends a token to this Errand itself, where it has a key, and not to ${url.origin}: leave it out.`,
    { retryable: false },
  )
}

function isHttp({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:'
}

/**
 * A user and a password in a URL, as Basic credentials (RFC 7617). They are taken out of it, for what is
 * relative to it would have them too.
 */
function takeCredentials(url: URL): string | undefined {
  const { username, password } = url
  if (username === '' && password === '') return undefined
  url.username = ''
  url.password = ''
  const bytes = Buffer.from(`${unescaped(username)}:${unescaped(password)}`)
  return `Basic ${bytes.toString('base64')}`
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What an error of undici is to whoever reads the task. */
function toTaskError(error: unknown, attempted: string): TaskError {
  if (!(error instanceof Error && NO_HTTP.has(error.name))) return connectionError(error, attempted)
  const message = `${attempted} was answered with what is no HTTP: ${error.message}.`
  return new TaskError('invalid-response', message, { cause: error })
}

function tooMany(attempted: string, max: number, output: Answer): TaskError {
  return new TaskError(
    'too-many-redirects',
    `${attempted} redirects once more, after ${max} redirects: is it a circle, or is max_redirects too low?`,
    { retryable: false, output },
  )
}

function badRedirect(attempted: string, output: Answer): TaskError {
  return new TaskError(
    'invalid-redirect',
    `${attempted} redirects to what is no URL of http or https.`,
    { retryable: false, output },
  )
}
