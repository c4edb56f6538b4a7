import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ErrandError } from '../src/task/errors.ts'
import type { UserTokens } from './user-tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for the few routes that answer without a key: a probe has none. */
    public?: boolean
  }
}

const LOOPBACK_HOST = /^(?:(?:[a-z\d-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

export interface AuthenticateOptions {
  /** Whoever has it may do everything; undefined: no key is needed. */
  apiKey: string | undefined
  /** Short-lived tokens that are as good as the key. */
  tokens: UserTokens | undefined
  /** Refuse requests that name another host than loopback: a web page's that rebound its DNS name. */
  loopbackOnly: boolean
}

/**
 * One hook before every route of this instance and below, its 404s among them: a route cannot forget it,
 * and is let through without a key only where its config says `public: true`.
 */
export function authenticate(app: FastifyInstance, options: AuthenticateOptions): void {
  const { apiKey, tokens, loopbackOnly } = options
  const expected = apiKey === undefined ? undefined : digest(apiKey)
  app.addHook('onRequest', (request, _reply, done) => {
    done(
      expected === undefined
        ? refuseWithoutKey(request, loopbackOnly)
        : refuseWithKey(request, expected, tokens),
    )
  })
}

function refuseWithoutKey(request: FastifyRequest, loopbackOnly: boolean): ErrandError | undefined {
  const { host } = request.headers
  // Of any client: a page that reads from a name which it rebound is marked by nothing else.
  if (loopbackOnly && host !== undefined && !LOOPBACK_HOST.test(host)) {
    return new ErrandError(
      'cross-site',
      `Without a key this server answers to localhost only, not to ${JSON.stringify(host.slice(0, 100))}.`,
    )
  }
  return refuseForeignPage(request)
}

/** What a page of another origin may not do, where the browser itself is what is let in. */
function refuseForeignPage(request: FastifyRequest): ErrandError | undefined {
  // The browser keeps their answers from such a page.
  if (request.method === 'GET' || request.method === 'HEAD' || !isForeignPage(request)) {
    return undefined
  }
  return new ErrandError(
    'cross-site',
    'A page of another site may not act here, unless it sends the ERRAND_API_KEY of this server as Authorization: Bearer KEY.',
  )
}

function isForeignPage({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  // Old browsers send no more than the origin; so do all, to a host that is neither HTTPS nor loopback.
  if (headers.origin === undefined) return false
  // An origin may be `null`, which has no host and is nobody's own.
  const host = URL.parse(headers.origin)?.host
  return host === undefined || host !== headers.host?.toLowerCase()
}

function refuseWithKey(
  request: FastifyRequest,
  expected: Buffer,
  tokens: UserTokens | undefined,
): ErrandError | undefined {
  if (request.routeOptions.config.public === true) return undefined
  const { authorization = '' } = request.headers
  const bearer = bearerOf(authorization)
  if (isKey(bearer, expected)) return undefined
  if (bearer !== undefined && tokens?.isValid(bearer) === true) return undefined
  // A browser that has been told the key sends it with whatever request a page makes, of any site.
  if (isKey(passwordOf(authorization), expected)) return refuseForeignPage(request)
  return new ErrandError(
    'unauthorized',
    'Send the key of this server as Authorization: Bearer KEY; in a browser, give it as the password, with any user name.',
  )
}

function bearerOf(authorization: string): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
}

/** The password of HTTP Basic (RFC 7617), which is all that a browser can ask its user for. */
function passwordOf(authorization: string): string | undefined {
  const encoded = /^Basic +([a-z\d+/]+=*) *$/i.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString()
  const colon = pair.indexOf(':')
  return colon === -1 ? undefined : pair.slice(colon + 1)
}

/** Digests are compared, so that the time it takes tells neither the key nor its length. */
function isKey(given: string | undefined, expected: Buffer): boolean {
  return timingSafeEqual(digest(given ?? ''), expected) && given !== undefined
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
