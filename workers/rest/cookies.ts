import type { CookieJar } from 'tough-cookie'
import { TaskError } from '../../src/task/worker.ts'
import { isHeaderValue, isToken } from './request-headers.ts'

/**
 * The cookies of one call: those that the caller gave, which go to the first origin alone, and those that
 * servers set, which go where their domain and path say (RFC 6265).
 */
export class Cookies {
  #given: Map<string, string> | undefined
  #jar: CookieJar | undefined

  /** @throws {@link TaskError} `invalid-cookie` */
  constructor(given: { readonly [name: string]: string } | undefined) {
    if (given === undefined) return
    this.#given = new Map(Object.entries(given))
    for (const [name, value] of this.#given) {
      if (!isToken(name) || value.includes(';') || !isHeaderValue(value)) throw invalid(name)
    }
  }

  /** The header for a URL, or an empty string. */
  headerFor(url: URL): string {
    if (this.#given === undefined && this.#jar === undefined) return ''
    const given = [...(this.#given ?? [])].map(([name, value]) => `${name}=${value}`)
    const set = this.#jar?.getCookiesSync(url.href).map((cookie) => cookie.cookieString()) ?? []
    return [...given, ...set].join('; ')
  }

  /** Takes in what an answer sets; what may not be set is passed over. */
  async keep(lines: string | string[], url: URL): Promise<void> {
    if (this.#jar === undefined) {
      const { CookieJar } = await import('tough-cookie')
      this.#jar = new CookieJar()
    }
    for (const line of typeof lines === 'string' ? [lines] : lines) {
      const cookie = this.#jar.setCookieSync(line, url.href, { ignoreError: true })
      // What a server sets, or deletes, takes the place of what the caller gave.
      if (cookie !== undefined) this.#given?.delete(cookie.key)
    }
  }

  /** Drops what the caller gave: another origin may not know it. */
  dropGiven(): void {
    this.#given = undefined
  }

  /** Whether a server has set any. */
  get isSet(): boolean {
    return this.#jar !== undefined
  }

  /** What servers have set and is still valid. */
  async valid(): Promise<{ [name: string]: string }> {
    const now = Date.now()
    const all = (await this.#jar?.store.getAllCookies()) ?? []
    const valid = all.filter((cookie) => (cookie.expiryTime() ?? Number.POSITIVE_INFINITY) > now)
    return Object.fromEntries(valid.map(({ key, value }) => [key, value]))
  }
}

function invalid(name: string): TaskError {
  return new TaskError(
    'invalid-cookie',
    `The cookie ${JSON.stringify(name.slice(0, 100))} cannot be sent: its name must be a token, and its value hold no semicolon, line break or other character that no header can.`,
    { retryable: false },
  )
}
