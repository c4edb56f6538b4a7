import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ErrandError } from '../src/task/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for the few routes that answer without a key: a probe has none. */
    public?: boolean
  }
}

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

export interface AuthenticateOptions {
  /** Whoever has it may do everything; undefined: no key is needed. */
  apiKey: string | undefined
  /** Refuse requests that name another host than loopback: a web page's that rebound its DNS name. */
  loopbackOnly: boolean
}

/**
 * One hook before every route of this instance and below, its 404s among them: a route cannot forget it,
 * and is let through without a key only where its config says `public: true`.
 */
export function authenticate(app: FastifyInstance, options: AuthenticateOptions): void {
  const expected = options.apiKey === undefined ? undefined : digest(options.apiKey)
  app.addHook('onRequest', (request, _reply, done) => {
    done(refusal(request, expected, options.loopbackOnly))
  })
}

function refusal(
  request: FastifyRequest,
  expected: Buffer | undefined,
  loopbackOnly: boolean,
): ErrandError | undefined {
  if (expected !== undefined) {
    if (request.routeOptions.config.public === true || hasKey(request, expected)) return undefined
    return new ErrandError(
      'unauthorized',
      'Send the key of this server as Authorization: Bearer KEY.',
    )
  }
  const { headers } = request
  if (isForeignPage(headers['sec-fetch-site']) && request.method !== 'GET') {
    return new ErrandError(
      'cross-site',
      'A page of another site may not act here: set ERRAND_API_KEY and send it.',
    )
  }
  if (loopbackOnly && headers.host !== undefined && !LOOPBACK_HOST.test(headers.host)) {
    return new ErrandError(
      'cross-site',
      `Without a key this server answers to localhost only, not to ${JSON.stringify(headers.host.slice(0, 100))}.`,
    )
  }
  return undefined
}

/** What browsers send with a request that a page of another origin made. */
function isForeignPage(site: string | string[] | undefined): boolean {
  return site === 'cross-site' || site === 'same-site'
}

/** Digests are compared, so that the time it takes tells neither the key nor its length. */
function hasKey(request: FastifyRequest, expected: Buffer): boolean {
  const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')
  return timingSafeEqual(digest(match?.[1] ?? ''), expected) && match !== null
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
