import type { NodemailerError } from 'nodemailer'
import { connectionError } from '../../src/task/connection-error.ts'
import { TaskError } from '../../src/task/worker.ts'
import { type Receipt, TLS_PORT } from './mail.ts'

const SHOWN_LENGTH = 500
/** Of those codes of nodemailer that hide what happened. */
const SYSTEM_CODES: { readonly [code: string]: string } = {
  ECONNECTION: 'ECONNRESET',
  ETLS: 'ECONNRESET',
}

interface Kind {
  code: string
  what: string
}

const NO_STARTTLS: Kind = {
  code: 'starttls-unavailable',
  what: 'it offers no STARTTLS, without which nothing is sent while use_tls is true',
}

/** What a refusal means, by the command that it answers. */
const KINDS: { readonly [command: string]: Kind } = {
  STARTTLS: NO_STARTTLS,
  // Where TLS is not asked for, the library goes on with the HELO of old.
  EHLO: NO_STARTTLS,
  'MAIL FROM': { code: 'sender-refused', what: 'it refused the sender' },
  'RCPT TO': { code: 'recipients-refused', what: 'it refused all recipients' },
  DATA: { code: 'message-refused', what: 'it refused the message' },
}
const LOGIN: Kind = {
  code: 'login-refused',
  what: 'it refused the login; check login and password',
}
const UNAVAILABLE: Kind = { code: 'server-unavailable', what: 'it serves nobody' }

/** Why sending failed, as the task's own error. */
export function toTaskError(error: NodemailerError, attempted: string, id: string): TaskError {
  const { code, command, responseCode } = error
  if (code === 'EMESSAGE' && command === 'MAIL FROM')
    return new TaskError(
      'message-too-large',
      `${attempted} failed: the message is larger than the server takes.`,
      { retryable: false, cause: error },
    )
  if (responseCode !== undefined && responseCode >= 400) return refused(error, attempted, id)
  if (code === 'EPROTOCOL')
    return new TaskError(
      'protocol-error',
      `${attempted} failed: what answers is no SMTP server. Check the host and the port; ${TLS_PORT} expects TLS at once.`,
      { retryable: false, cause: error },
    )
  return failed(error, attempted)
}

/** The recipients that the server refused, with its words. */
export function rejectionsOf(errors: readonly NodemailerError[] = []): Receipt['rejected'] {
  return errors.map((error) => ({
    address: error.recipient ?? '',
    code: error.responseCode ?? 0,
    message: wordsOf(error).replace(/^\d{3}[ -]?/, ''),
  }))
}

function refused(error: NodemailerError, attempted: string, id: string): TaskError {
  const { code, what } = kindOf(error)
  const rejected = rejectionsOf(error.rejectedErrors)
  return new TaskError(code, `${attempted} failed: ${what}: ${wordsOf(error)}`, {
    // 4yz says that it may go well another time (RFC 5321, 4.2.1).
    retryable: (error.responseCode ?? 0) < 500,
    output: code === 'recipients-refused' ? { message_id: id, accepted: [], rejected } : undefined,
    cause: error,
  })
}

function kindOf({ command = '', responseCode }: NodemailerError): Kind {
  // 421 answers any command: the server closes.
  if (responseCode === 421 && command !== 'DATA') return UNAVAILABLE
  if (command.startsWith('AUTH')) return LOGIN
  return KINDS[command] ?? UNAVAILABLE
}

function failed(error: NodemailerError, attempted: string): TaskError {
  const system = error.originalCode ?? SYSTEM_CODES[error.code ?? ''] ?? error.code
  const named = connectionError(
    Object.assign(new Error(error.message, { cause: error }), { code: system }),
    attempted,
  )
  if (named.code !== 'bad-certificate') return named
  return new TaskError(
    named.code,
    `${named.message} Give the certificate of its authority as cacert, and the host as the certificate names it.`,
    { retryable: false, cause: error },
  )
}

/** What a server said, in one line. */
function wordsOf({ response = '' }: NodemailerError): string {
  const words = response.replace(/\r?\n\d{3}[ -]?/g, ' ').replace(/\p{Cc}+/gu, ' ')
  return words.length > SHOWN_LENGTH ? `${words.slice(0, SHOWN_LENGTH)}…` : words
}
