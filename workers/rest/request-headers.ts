import { TaskError } from '../../src/task/worker.ts'
import { isCredential } from './credentials.ts'

/** What is sent where the caller says nothing else. */
const DEFAULTS: ReadonlyMap<string, string> = new Map([
  ['user-agent', 'errand'],
  ['accept', '*/*'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
])
const DEFAULT_LIST: string[] = [...DEFAULTS].flat()
/** Headers that say where a message ends or what becomes of the connection: not the caller's to say. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** Headers of a body, which go where it does not (Fetch, 4.4). */
const OF_THE_BODY: readonly string[] = [
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
]
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What a header may hold: no line break, and nothing that one byte cannot. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._~%!$&'()*+;=-]+)(?::\d{1,5})?$/i

/** The headers of a request: which are sent changes as it is redirected. */
export class RequestHeaders {
  /** Undefined while there are none but the defaults, as there are in most requests. */
  #byName: Map<string, string> | undefined

  /** @throws {@link TaskError} `invalid-header` */
  constructor(given: { readonly [name: string]: string } = {}) {
    for (const name in given) this.#give(name.toLowerCase(), given[name] ?? '')
  }

  has(name: string): boolean {
    return this.#byName?.has(name) === true
  }

  set(name: string, value: string): void {
    this.#byName ??= new Map(DEFAULTS)
    this.#byName.set(name, value)
  }

  /** Drops what may not be known to another origin than the one that the caller named. */
  dropCredentials(): void {
    this.#byName?.delete('host')
    for (const name of this.#byName?.keys() ?? []) {
      if (isCredential(name)) this.#byName?.delete(name)
    }
  }

  dropThoseOfTheBody(): void {
    for (const name of OF_THE_BODY) this.#byName?.delete(name)
  }

  /** Names and values by turns, with the cookies added. */
  toList(cookies: string): string[] {
    if (this.#byName === undefined) {
      return cookies === '' ? DEFAULT_LIST : [...DEFAULT_LIST, 'cookie', cookies]
    }
    const given = this.#byName.get('cookie') ?? ''
    const all = given === '' || cookies === '' ? given + cookies : `${given}; ${cookies}`
    const list: string[] = []
    for (const [name, value] of this.#byName) if (name !== 'cookie') list.push(name, value)
    if (all !== '') list.push('cookie', all)
    return list
  }

  #give(name: string, value: string): void {
    check(name, value)
    if (this.has(name) && !DEFAULTS.has(name)) throw invalid(name, 'is given twice')
    this.set(name, value)
  }
}

/** Whether a value can stand in a header. */
export function isHeaderValue(value: string): boolean {
  return VALUE.test(value)
}

/** Whether a name can be that of a header, or of a cookie. */
export function isToken(name: string): boolean {
  return NAME.test(name)
}

function check(name: string, value: string): void {
  if (!isToken(name)) throw invalid(name, 'is no name of a header')
  if (OF_THE_CONNECTION.has(name)) {
    throw invalid(name, 'is of the connection, and set by Errand where it is needed')
  }
  if (!isHeaderValue(value)) throw invalid(name, 'holds a line break, or what no header can hold')
  if (name === 'host' && !HOST.test(value)) throw invalid(name, 'is no host name')
}

function invalid(name: string, fault: string): TaskError {
  return new TaskError(
    'invalid-header',
    `The header ${JSON.stringify(name.slice(0, 100))} ${fault}.`,
    { retryable: false },
  )
}
