import { TaskError } from './worker.ts'

interface Kind {
  code: string
  what: string
  retryable: boolean
}

const UNKNOWN_HOST: Kind = {
  code: 'unknown-host',
  what: 'the host cannot be found',
  retryable: true,
}
const UNREACHABLE: Kind = { code: 'unreachable', what: 'no route leads there', retryable: true }
const TIMED_OUT: Kind = {
  code: 'connection-timeout',
  what: 'nothing answered in time',
  retryable: true,
}
const LOST: Kind = {
  code: 'connection-lost',
  what: 'the other side closed the connection',
  retryable: true,
}
const BAD_CERTIFICATE: Kind = {
  code: 'bad-certificate',
  what: 'its certificate cannot be trusted',
  retryable: false,
}
const TLS_FAILED: Kind = {
  code: 'tls-failed',
  what: 'TLS could not be agreed on',
  retryable: false,
}
const FAILED: Kind = { code: 'connection-failed', what: 'the connection failed', retryable: true }

const KINDS: { readonly [code: string]: Kind } = {
  ECONNREFUSED: { code: 'connection-refused', what: 'nothing listens there', retryable: true },
  ENOTFOUND: UNKNOWN_HOST,
  EAI_AGAIN: UNKNOWN_HOST,
  EAI_FAIL: UNKNOWN_HOST,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ETIMEDOUT: TIMED_OUT,
  ESOCKETTIMEDOUT: TIMED_OUT,
  UND_ERR_CONNECT_TIMEOUT: TIMED_OUT,
  UND_ERR_HEADERS_TIMEOUT: TIMED_OUT,
  UND_ERR_BODY_TIMEOUT: TIMED_OUT,
  ECONNRESET: LOST,
  ECONNABORTED: LOST,
  EPIPE: LOST,
  UND_ERR_SOCKET: LOST,
  ERR_STREAM_PREMATURE_CLOSE: LOST,
  EPROTO: TLS_FAILED,
}
/** What OpenSSL says of certificates, as Node passes it on (X509_V_ERR_…), and Node's own check of the name. */
const CERTIFICATE =
  /^(?:ERR_TLS_CERT_ALTNAME_INVALID|CERT_\w+|CRL_\w+|UNABLE_TO_(?:GET|VERIFY|DECODE)\w*|SELF_SIGNED_CERT\w*|DEPTH_ZERO_SELF_SIGNED_CERT|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED)$/

/**
 * What a worker throws where a connection failed, with a stable code: `connection-refused`, `unknown-host`,
 * `unreachable`, `connection-timeout`, `connection-lost`, `bad-certificate`, `tls-failed`, or
 * `connection-failed` for the rest. A {@link TaskError} stays what it is.
 *
 * @param attempted what was attempted, without secrets: `GET https://example.com/`
 */
export function connectionError(error: unknown, attempted: string): TaskError {
  if (error instanceof TaskError) return error
  const found = codesOf(error)
    .map(kindOf)
    .find((kind) => kind !== undefined)
  const { code, what, retryable } = found ?? FAILED
  const [symbol] = codesOf(error)
  const detail =
    found === undefined && error instanceof Error
      ? `: ${error.message}`
      : symbol === undefined
        ? ''
        : ` (${symbol})`
  return new TaskError(code, `${attempted} failed: ${what}${detail}.`, { retryable, cause: error })
}

function kindOf(code: string): Kind | undefined {
  if (CERTIFICATE.test(code)) return BAD_CERTIFICATE
  if (code.startsWith('ERR_SSL_')) return TLS_FAILED
  return KINDS[code]
}

/** The codes of an error, of what it was caused by, and of those that were tried side by side (RFC 8305). */
function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 4) return []
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : []
  const tried =
    error instanceof AggregateError ? error.errors.flatMap((one) => codesOf(one, depth + 1)) : []
  return [...own, ...tried, ...codesOf(error.cause, depth + 1)]
}
