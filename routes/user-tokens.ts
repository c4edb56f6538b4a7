import { createHmac, timingSafeEqual } from 'node:crypto'

/** How long a token is good for, in seconds. */
const LIFETIME_S = 300
const FORM = /^errand\.([0-9a-z]{1,12})\.([A-Za-z0-9_-]{43})$/

/**
 * Short-lived tokens that a task may call Errand's own API with: as good as the key, for five minutes, and
 * given out for Errand's own address alone. They are signed with the key (HMAC, RFC 2104) and kept nowhere.
 */
export class UserTokens {
  readonly #key: string
  readonly #places = new Set<string>()

  constructor(key: string) {
    this.#key = key
  }

  /** From now on, tokens are given out for what is below this URL: `https://example.com/errand`, for one. */
  serve(url: string): void {
    const { href } = new URL(url)
    this.#places.add(href.endsWith('/') ? href : `${href}/`)
  }

  /** A token for a URL of this server, or undefined where it is another's. */
  issue(url: string): string | undefined {
    const { origin = '', pathname = '' } = URL.parse(url) ?? {}
    const asked = `${origin}${pathname}/`
    if (![...this.#places].some((place) => asked.startsWith(place))) return undefined
    const expires = (Math.floor(Date.now() / 1_000) + LIFETIME_S).toString(36)
    return `errand.${expires}.${this.#sign(expires)}`
  }

  isValid(token: string): boolean {
    const [, expires = '', signature = ''] = FORM.exec(token) ?? []
    if (signature === '' || Number.parseInt(expires, 36) * 1_000 < Date.now()) return false
    return timingSafeEqual(Buffer.from(signature), Buffer.from(this.#sign(expires)))
  }

  #sign(expires: string): string {
    return createHmac('sha256', this.#key).update(`user-token ${expires}`).digest('base64url')
  }
}
