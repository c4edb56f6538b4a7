import { TaskError } from '../../src/task/worker.ts'

interface Kind {
  code: string
  retryable: boolean
}

const UNAVAILABLE: Kind = { code: 'redis-unavailable', retryable: true }
const MOVED: Kind = { code: 'redis-moved', retryable: false }
const LOGIN_REFUSED: Kind = { code: 'login-refused', retryable: false }

/** By the first word of the server's message. */
const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['WRONGPASS', LOGIN_REFUSED],
  ['NOAUTH', LOGIN_REFUSED],
  ['NOPERM', { code: 'permission-denied', retryable: false }],
  ['DENIED', { code: 'permission-denied', retryable: false }],
  ['WRONGTYPE', { code: 'redis-wrongtype', retryable: false }],
  ['READONLY', { code: 'redis-readonly', retryable: true }],
  ['MOVED', MOVED],
  ['ASK', MOVED],
  ['LOADING', { code: 'redis-loading', retryable: true }],
  ['BUSY', { code: 'redis-busy', retryable: true }],
  ['OOM', { code: 'redis-out-of-memory', retryable: true }],
  ['MISCONF', UNAVAILABLE],
  ['NOREPLICAS', UNAVAILABLE],
  ['MASTERDOWN', UNAVAILABLE],
  ['CLUSTERDOWN', UNAVAILABLE],
  ['TRYAGAIN', UNAVAILABLE],
])
const OTHER: Kind = { code: 'redis-error', retryable: false }
const TOO_MANY_CLIENTS = 'ERR max number of clients'

/** The failure that the server's answer to a command is. */
export function commandRefused(
  name: string,
  args: readonly (string | Buffer)[],
  message: string,
): TaskError {
  const { code, retryable } = kindOf(message)
  return new TaskError(code, `Redis refused ${name}: ${withoutArguments(message, args)}`, {
    retryable,
  })
}

/** The failure that the server's answer to the user and password is. */
export function loginRefused(message: string): TaskError {
  const kind = kindOf(message)
  const { code, retryable } = kind === OTHER ? LOGIN_REFUSED : kind
  return new TaskError(code, `Redis refused the login: ${message}`, { retryable })
}

function kindOf(message: string): Kind {
  if (message.startsWith(TOO_MANY_CLIENTS)) return UNAVAILABLE
  return KINDS.get(message.split(' ', 1)[0] ?? '') ?? OTHER
}

/** Servers quote arguments in their messages, and an argument may be what nobody else should read. */
function withoutArguments(message: string, args: readonly (string | Buffer)[]): string {
  let text = message.replace(/,? with args beginning with:.*$/s, '')
  for (const quote of [`'`, '"', '`']) {
    for (const arg of args)
      text = text.replaceAll(`${quote}${arg}${quote}`, () => `${quote}…${quote}`)
  }
  return text
}
