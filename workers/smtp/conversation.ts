import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { SecureContext } from 'node:tls'
import SMTPConnection, { type Envelope, type SentMessageInfo } from 'nodemailer/lib/smtp-connection'

const CHUNK_BYTES = 65_536
const MAX_REPLY_BYTES = 65_536
/** How long a server may take to say good-bye, in milliseconds: by then the mail is its own. */
const GOODBYE_WITHIN_MS = 500
/** Ours strikes first; without these, the library would wait for minutes of its own. */
const SPARE_MS = 1_000

export interface ConversationOptions {
  /** By which the server's certificate is checked. */
  host: string
  port: number
  encryption: 'tls' | 'starttls' | 'none'
  trust: SecureContext | undefined
  /** Milliseconds. */
  timeout: number
}

/** One SMTP session over a socket that is connected. What fails rejects with an error of nodemailer's. */
export class Conversation {
  readonly #connection: SMTPConnection
  readonly #ended = Promise.withResolvers<void>()
  readonly #failed = Promise.withResolvers<never>()

  constructor(socket: Socket, { host, port, encryption, trust, timeout }: ConversationOptions) {
    this.#connection = new SMTPConnection({
      connection: socket,
      host,
      port,
      secure: encryption === 'tls',
      requireTLS: encryption === 'starttls',
      ignoreTLS: encryption === 'none',
      ...(trust !== undefined && { tls: { secureContext: trust } }),
      connectionTimeout: timeout + SPARE_MS,
      greetingTimeout: timeout + SPARE_MS,
      socketTimeout: timeout + SPARE_MS,
      socketCloseTimeout: 0,
      maxResponseSize: MAX_REPLY_BYTES,
    })
    this.#failed.promise.catch(() => {})
    this.#connection.on('error', this.#failed.reject)
    this.#connection.once('end', () => {
      this.#ended.resolve()
      // A step that knows why the connection ended says so right after.
      setImmediate(() => this.#failed.reject(closed()))
    })
  }

  /** Resolves once the server has introduced itself, over TLS where that was asked for. */
  open(): Promise<void> {
    return this.#step<void>((done) => this.#connection.connect((error) => done(error ?? null)))
  }

  /** Whether the server takes logins. Of one that knows no EHLO this cannot be told. */
  get takesLogins(): boolean {
    return this.#connection.allowsAuth
  }

  /** Whether the server takes addresses with other letters than ASCII before the @ (RFC 6531). */
  get takesUtf8Addresses(): boolean {
    return /^250[ -]SMTPUTF8\b/im.test(this.#connection.lastServerResponse || '')
  }

  async login(user: string, pass: string): Promise<void> {
    await this.#step<boolean>((done) => this.#connection.login({ user, pass }, done))
  }

  /**
   * @param onBytes told how much of the content was handed over, last of all that all of it was: from then
   * on the server may have the message, whatever comes
   */
  send(
    envelope: Envelope,
    content: Buffer,
    onBytes: (bytes: number) => void,
  ): Promise<SentMessageInfo> {
    const message = Readable.from(inChunks(content, onBytes), { objectMode: false })
    return this.#step((done) => this.#connection.send(envelope, message, done))
  }

  /** Says good-bye. A server that does not answer is left without. */
  async quit(): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, GOODBYE_WITHIN_MS)
    this.#connection.quit()
    await Promise.race([this.#ended.promise, late.promise])
    clearTimeout(timer)
  }

  /** Ends it at once, whatever it is at. */
  end(): void {
    this.#connection.close()
  }

  #step<T>(begin: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    // The library calls back with a result wherever it calls back without an error.
    begin((error, result) => (error ? reject(error) : resolve(result as T)))
    return Promise.race([promise, this.#failed.promise])
  }
}

function* inChunks(content: Buffer, onBytes: (bytes: number) => void): Generator<Buffer> {
  for (let from = 0; from < content.length; from += CHUNK_BYTES) {
    const to = Math.min(from + CHUNK_BYTES, content.length)
    onBytes(to)
    yield content.subarray(from, to)
  }
}

function closed(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })
}
