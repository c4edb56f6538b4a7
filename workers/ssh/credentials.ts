import { createPrivateKey } from 'node:crypto'
import ssh2, { type AnyAuthMethod, type ParsedKey } from 'ssh2'
import { TaskError } from '../../src/task/worker.ts'

/** Rounds of bcrypt in one key: ssh2 computes them in this thread, some 20 ms each. ssh-keygen makes 16 or 24. */
const MAX_ROUNDS = 64

export interface CredentialOptions {
  login: string
  password?: string
  key?: string
  passphrase?: string
}

/** What a login is tried with, one method after the other, and only by those that the host takes. */
export class Credentials {
  readonly login: string
  readonly #methods: AnyAuthMethod[] = []
  readonly #tried: string[] = []
  #accepted: readonly string[] = []

  /** @throws {@link TaskError} `no-credentials` and `bad-key` */
  constructor({ login, password, key, passphrase }: CredentialOptions) {
    this.login = login
    if (key) {
      this.#methods.push({ type: 'publickey', username: login, key: parseKey(key, passphrase) })
    }
    if (password) {
      this.#methods.push({ type: 'password', username: login, password })
      this.#methods.push(byQuestions(login, password))
    }
    if (this.#methods.length === 0) {
      throw new TaskError(
        'no-credentials',
        `There is nothing to log ${login} in with: give a password or a key, or both.`,
        { retryable: false },
      )
    }
  }

  /**
   * The next method that the host takes, if there is one.
   *
   * @param accepted null as long as the host has not said it
   */
  next(accepted: readonly string[] | null): AnyAuthMethod | undefined {
    this.#accepted = accepted ?? []
    for (let method = this.#methods.shift(); method !== undefined; method = this.#methods.shift()) {
      if (accepted !== null && !accepted.includes(method.type)) continue
      this.#tried.push(method.type)
      return method
    }
    return undefined
  }

  /** What was tried and what would be taken, for people. */
  toString(): string {
    const tried = `tried ${this.#tried.join(', ') || 'nothing'}`
    return this.#accepted.length === 0 ? tried : `${tried}; it takes ${this.#accepted.join(', ')}`
  }
}

/**
 * Hosts that ask (keyboard-interactive) mostly ask for the password, once. What is asked after that, for a
 * new password perhaps, is not answered.
 */
function byQuestions(username: string, password: string): AnyAuthMethod {
  let isAnswered = false
  return {
    type: 'keyboard-interactive',
    username,
    prompt: (_name, _instructions, _language, prompts, finish) => {
      finish(prompts.map(({ echo }) => (echo || isAnswered ? '' : password)))
      isAnswered = true
    },
  }
}

function parseKey(text: string, passphrase: string | undefined): ParsedKey {
  const rounds = roundsOf(text)
  if (rounds > MAX_ROUNDS) {
    throw badKey(`its passphrase takes ${rounds} rounds (ssh-keygen -a), at most ${MAX_ROUNDS} go`)
  }
  const parsed: ParsedKey | ParsedKey[] | Error = ssh2.utils.parseKey(
    toKnownFormat(text, passphrase),
    passphrase,
  )
  if (parsed instanceof Error) throw badKey(parsed.message)
  const [key] = [parsed].flat()
  if (key === undefined || !key.isPrivateKey()) throw badKey('it is a public key')
  return key
}

/** PKCS #8, as OpenSSL writes keys, is one format that ssh2 does not read. */
function toKnownFormat(text: string, passphrase: string | undefined): string {
  if (!/^\s*-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----/.test(text)) return text
  try {
    const key = createPrivateKey({ key: text.trim(), ...(passphrase && { passphrase }) })
    const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1'
    return key.export({ type, format: 'pem' }).toString()
  } catch (cause) {
    throw badKey(cause instanceof Error ? cause.message : String(cause))
  }
}

/**
 * The rounds that an encrypted key in OpenSSH's own format says its passphrase takes: after the magic come
 * the names of the cipher and of the derivation, and a string of the salt and the rounds, all with lengths.
 */
function roundsOf(text: string): number {
  const [, base64 = ''] = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(text) ?? []
  const bytes = Buffer.from(base64, 'base64')
  let at = 'openssh-key-v1\0'.length
  const skip = () => {
    at += 4 + (at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0)
  }
  skip()
  skip()
  const hasOptions = at + 4 <= bytes.length && bytes.readUInt32BE(at) > 0
  at += 4
  if (!hasOptions) return 0
  skip()
  return at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0
}

function badKey(reason: string): TaskError {
  return new TaskError(
    'bad-key',
    `The private key cannot be used: ${reason}. It must be whole, in the format of OpenSSH or PEM, and where it is encrypted its passphrase must be given.`,
    { retryable: false },
  )
}
