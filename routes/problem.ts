import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ErrandError, type ErrorCode } from '../src/task/errors.ts'

export const PROBLEM = 'application/problem+json'

/** What Fastify's own errors are in Errand's catalogue. */
const FASTIFY_CODES: { readonly [code: string]: ErrorCode } = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid-request',
  FST_ERR_VALIDATION: 'invalid-request',
  FST_ERR_MAX_PARAM_LENGTH: 'not-found',
  FST_ERR_BAD_URL: 'invalid-request',
  FST_ERR_NOT_FOUND: 'not-found',
}

const HINTS: { readonly [code in ErrorCode]?: string } = {
  'invalid-json': 'The body is not valid JSON: check its quotes, commas and brackets.',
  'unsupported-media-type': 'Send the body as JSON, with Content-Type: application/json.',
  'body-too-large': 'Send less, or raise ERRAND_BODY_LIMIT.',
}

/** The error of the catalogue that stands for whatever went wrong while a request was answered. */
export function toErrandError(error: FastifyError | Error, request: FastifyRequest): ErrandError {
  if (error instanceof ErrandError) return error
  const code = 'code' in error ? FASTIFY_CODES[error.code] : undefined
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500
  if (code !== undefined || (status >= 400 && status < 500)) {
    const known = code ?? 'invalid-request'
    const hint = HINTS[known]
    const faults = 'faults' in error && Array.isArray(error.faults) ? error.faults : undefined
    return new ErrandError(
      known,
      hint ??
        `${request.method} ${request.routeOptions?.url ?? request.url.slice(0, 200)}: ${error.message.slice(0, 300)}.`,
      {
        ...(faults !== undefined && { faults }),
      },
    )
  }
  request.log.error({ err: error, method: request.method, url: request.url }, 'a request failed')
  return new ErrandError('internal-error', 'The server failed at this request; its log says why.', {
    cause: error,
  })
}

/** The problem document of RFC 9457 for an error. */
export function toProblem(error: ErrandError) {
  return {
    type: `urn:errand:${error.code}`,
    title: error.title,
    status: error.status,
    code: error.code,
    detail: error.message,
    errors: error.faults,
  }
}

export function sendProblem(
  error: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const known = toErrandError(error, request)
  setErrorHeaders(known, reply)
  return reply.code(known.status).type(PROBLEM).send(toProblem(known))
}

/** The headers that belong to an error, in whatever form its body is. */
export function setErrorHeaders(error: ErrandError, reply: FastifyReply): void {
  if (error.retryAfter !== undefined) reply.header('retry-after', String(error.retryAfter))
  if (error.code === 'unauthorized') reply.header('www-authenticate', challenges(reply.request))
}

/** The page of the documentation, in a `Referer`. */
const DOCS = /^[^?]*\/docs\/?(?:\?|$)/

/**
 * A browser asks its user for the key where Basic is offered, so it is to one that opens a page. The page of
 * the documentation is offered it as well: what is not below the path that was opened first is sent without
 * the password, and with it only when asked.
 */
function challenges({ headers }: FastifyRequest): string | string[] {
  const bearer = 'Bearer realm="errand"'
  const isPage = headers.accept?.includes('text/html') === true
  return isPage || DOCS.test(headers.referer ?? '') ? [bearer, 'Basic realm="errand"'] : bearer
}

/**
 * Answers what is no HTTP request, as far as it can be answered: the connection's error, as a problem
 * document on the bare socket.
 */
export function sendClientError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const isLarge = error.code === 'HPE_HEADER_OVERFLOW'
  const line = isLate
    ? '408 Request Timeout'
    : isLarge
      ? '431 Request Header Fields Too Large'
      : '400 Bad Request'
  const detail = isLate
    ? 'The request did not arrive in time.'
    : isLarge
      ? 'The headers of the request are larger than the server accepts.'
      : 'What arrived is not an HTTP request.'
  const problem = toProblem(new ErrandError('invalid-request', detail))
  const body = JSON.stringify({ ...problem, status: Number(line.slice(0, 3)) })
  socket.end(
    `HTTP/1.1 ${line}\r\ncontent-type: ${PROBLEM}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
