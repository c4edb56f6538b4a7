import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import ssh2, { type Client } from 'ssh2'
import { connectionError } from '../../src/task/connection-error.ts'
import type { Egress } from '../../src/task/egress.ts'
import { TaskError } from '../../src/task/worker.ts'
import type { Credentials } from './credentials.ts'
import type { Ending } from './ending.ts'
import { fingerprint, type HostKeys } from './host-keys.ts'

/** What ssh2 offers, without what leans on SHA-1, and uncompressed: what is small can expand to anything. */
const ALGORITHMS: ssh2.Algorithms = {
  hmac: [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
  ],
  compress: ['none'],
}
/** Keepalives that may go unanswered. */
const MAX_MISSED = 3

export interface Target {
  hostname: string
  port: number
  hostKeys: HostKeys
  credentials: Credentials
  /** Milliseconds until the login must be done. */
  connectTimeout: number
  /** Milliseconds between keepalives. */
  keepaliveMs: number
}

/** How far a connection has come: what it does now, for people. */
type Stage = 'the connection' | 'the SSH handshake' | 'the login' | 'the session'

/** A connection that is logged in; whatever goes wrong with it ends the {@link Ending} it was opened with. */
export class Connection {
  readonly #target: Target
  readonly #ending: Ending
  readonly #client: Client = new ssh2.Client()
  #socket: Socket | undefined
  #stage: Stage = 'the connection'
  #refusedKey: Buffer | undefined

  constructor(target: Target, ending: Ending) {
    this.#target = target
    this.#ending = ending
  }

  /** Connects, checks the key of the host, and logs in. */
  async open(egress: Egress): Promise<Client> {
    const stop = this.#ending.limit(this.#target.connectTimeout, () => this.#late())
    const addresses = await this.#ending.race(egress.resolve(this.#target.hostname))
    const socket = await this.#dial(addresses)
    await this.#ending.race(this.#logIn(socket))
    stop()
    this.#stage = 'the session'
    return this.#client
  }

  /** Closes it at once, whatever it does. */
  close(): void {
    try {
      // Said where it still can be, so that the other side does not log a loss.
      if (this.#stage === 'the session') this.#client.end()
    } catch {
      // After a fault of the protocol, ssh2 says nothing any more.
    } finally {
      this.#socket?.destroy()
    }
  }

  async #dial(addresses: readonly LookupAddress[]): Promise<Socket> {
    const socket = connectSocket({
      host: this.#target.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: this.#target.port,
      autoSelectFamily: true,
      noDelay: true,
      keepAlive: true,
      // No name is looked up twice: the second answer could be another.
      lookup: (_hostname, options, callback) => {
        const [first] = addresses
        if (options.all === true || first === undefined) callback(null, [...addresses])
        else callback(null, first.address, first.family)
      },
    })
    this.#socket = socket
    // Errors after the end are nobody's.
    socket.on('error', () => {})
    try {
      await this.#ending.race(once(socket, 'connect'))
    } catch (error) {
      throw isSystemError(error) ? connectionError(error, this.#attempted) : error
    }
    return socket
  }

  async #logIn(sock: Socket): Promise<void> {
    this.#stage = 'the SSH handshake'
    const { hostKeys, credentials, keepaliveMs } = this.#target
    const client = this.#client
    client.on('error', (error) => this.#ending.fail(this.#explain(error)))
    client.on('close', () => this.#ending.fail(this.#lost('the other side closed the connection')))
    client.on('handshake', () => {
      this.#stage = 'the login'
    })
    client.on('change password', () => this.#ending.fail(this.#refused('its password has expired')))
    const ready = once(client, 'ready')
    client.connect({
      sock,
      username: credentials.login,
      algorithms: { ...ALGORITHMS, serverHostKey: hostKeys.algorithms },
      hostVerifier: (shown: Buffer) => {
        if (hostKeys.has(shown)) return true
        this.#refusedKey = Buffer.from(shown)
        return false
      },
      authHandler: (accepted, _partly, next) => {
        const method = credentials.next(accepted)
        if (method === undefined) this.#ending.fail(this.#refused('it took none of them'))
        else next(method)
      },
      keepaliveInterval: keepaliveMs,
      keepaliveCountMax: MAX_MISSED,
      // The limit of the whole login is kept here.
      readyTimeout: 0,
    })
    await ready
  }

  /** What ssh2 ran into, by a code. */
  #explain(error: Error & ssh2.ClientErrorExtensions): TaskError {
    const { hostKeys, port, hostname } = this.#target
    if (this.#refusedKey !== undefined) {
      return new TaskError(
        'host-key-mismatch',
        `${hostname}:${port} showed the key ${fingerprint(this.#refusedKey)}, and not ${hostKeys}. Nothing was sent to it. Either its key has changed, or it is another host.`,
        { retryable: false },
      )
    }
    if (error.level === 'client-authentication') return this.#refused(error.message)
    if (isSystemError(error)) return connectionError(error, this.#attempted)
    if (error.message === 'Keepalive timeout') return this.#lost('the other side no longer answers')
    if (/^Connection lost/.test(error.message)) {
      return this.#lost('the other side closed the connection without a word of SSH')
    }
    // A number is the reason of the other side for its disconnect.
    if (this.#stage === 'the login' && 'code' in error && /auth|password/i.test(error.message)) {
      return this.#refused(error.message)
    }
    if ('code' in error || this.#stage === 'the session') return this.#lost(error.message)
    const hint = /host key format/.test(error.message)
      ? `: it has no key of the type that was expected of it, ${hostKeys}`
      : ''
    return new TaskError('ssh-failed', `${this.#attempted} failed: ${error.message}${hint}.`, {
      retryable: false,
      cause: error,
    })
  }

  get #attempted(): string {
    const { hostname, port, credentials } = this.#target
    const where = `${credentials.login}@${hostname}:${port}`
    return this.#stage === 'the connection' ? `SSH to ${where}` : `SSH to ${where}, ${this.#stage},`
  }

  #refused(reason: string): TaskError {
    const { hostname, port, credentials } = this.#target
    return new TaskError(
      'login-refused',
      `${hostname}:${port} did not let ${credentials.login} in (${credentials}): ${reason}.`,
      { retryable: false },
    )
  }

  #lost(reason: string): TaskError {
    return new TaskError('connection-lost', `${this.#attempted} failed: ${reason}.`)
  }

  #late(): TaskError {
    const { connectTimeout } = this.#target
    return new TaskError(
      'connection-timeout',
      `${this.#attempted} failed: it took longer than ${connectTimeout} ms (connect_timeout).`,
    )
  }
}

/** Whether it is of the operating system, or of several addresses. ssh2's own have a number for a code, or none. */
function isSystemError(error: unknown): boolean {
  return (
    error instanceof AggregateError ||
    (error instanceof Error && 'code' in error && typeof error.code === 'string')
  )
}
