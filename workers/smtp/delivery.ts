import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { domainToASCII } from 'node:url'
import { type TaskContext, TaskError } from '../../src/task/worker.ts'
import { Conversation, type ConversationOptions } from './conversation.ts'
import { type Mail, type Receipt, TLS_PORT } from './mail.ts'
import { compose, type Message } from './message.ts'
import { rejectionsOf, toTaskError } from './refusal.ts'
import { trustIn } from './trust.ts'

/** A host with several addresses gets this long at each but the last, in milliseconds. */
const ADDRESS_WITHIN_MS = 2_000
/** So long before the attempt would be timed out an answer is given up, in milliseconds. */
const BEFORE_DEADLINE_MS = 250

/** Hands a mail to its server. Whatever comes, no connection is left. */
export async function deliver(mail: Mail, task: TaskContext): Promise<Receipt> {
  task.signal.throwIfAborted()
  const delivery = new Delivery(mail, task)
  try {
    return await delivery.perform()
  } finally {
    delivery.end()
  }
}

class Delivery {
  readonly #mail: Mail
  readonly #task: TaskContext
  readonly #host: string
  /** What is being done, for the message of an error. */
  #step: string
  /** Rejects when the delivery must end before it has ended by itself. */
  readonly #stopped = Promise.withResolvers<never>()
  #isStopped = false
  readonly #abort = () => this.#stop(this.#task.signal.reason)
  readonly #timer: NodeJS.Timeout
  #deadlineTimer: NodeJS.Timeout | undefined
  #socket: Socket | undefined
  #conversation: Conversation | undefined
  /** All of the message was written, and the server may have taken it. */
  #isHandedOver = false

  constructor(mail: Mail, task: TaskContext) {
    this.#mail = mail
    this.#task = task
    this.#host = hostOf(mail.smtp_host)
    this.#step = `Connecting to ${this.#place}`
    this.#stopped.promise.catch(() => {})
    task.signal.addEventListener('abort', this.#abort, { once: true })
    this.#timer = setTimeout(() => this.#stop(timedOut(mail.timeout)), mail.timeout)
  }

  async perform(): Promise<Receipt> {
    const message = await compose(this.#mail, this.#task.id, this.#task.signal)
    try {
      return await Promise.race([this.#converse(message), this.#stopped.promise])
    } catch (error) {
      throw this.#explain(error, message.id)
    }
  }

  /** Closes the connection at once, where there is one, and lets go of all else. */
  end(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#deadlineTimer)
    this.#task.signal.removeEventListener('abort', this.#abort)
    this.#conversation?.end()
    this.#socket?.destroy()
  }

  #stop(reason: unknown): void {
    this.#stopped.reject(reason)
    this.end()
  }

  async #converse(message: Message): Promise<Receipt> {
    const conversation = await this.#open()
    await this.#login(conversation)
    checkUtf8(message, conversation)
    this.#step = `Sending by ${this.#place}`
    const { sender: from, recipients: to, content } = message
    const envelope = { from, to, size: content.length }
    const { accepted, rejectedErrors } = await conversation.send(envelope, content, (bytes) =>
      this.#onBytes(bytes, content.length),
    )
    const rejected = rejectionsOf(rejectedErrors)
    if (rejected.length > 0)
      this.#task.log.warn(`${rejected.length} of ${to.length} recipients were refused`)
    await Promise.race([conversation.quit(), this.#stopped.promise]).catch(() => {})
    return { message_id: message.id, accepted, rejected }
  }

  async #open(): Promise<Conversation> {
    const { smtp_port: port, use_tls, cacert, timeout } = this.#mail
    const trust = trustIn(cacert)
    const addresses = await this.#task.egress.resolve(this.#host)
    this.#checkStopped()
    const socket = connectTo(this.#host, port, addresses)
    this.#socket = socket
    await once(socket, 'connect')
    this.#checkStopped()
    const encryption = encryptionOf(port, use_tls)
    this.#step = `Greeting ${this.#place}${encryption === 'none' ? '' : ' over TLS'}`
    // A name may end with a dot, and the names of certificates do not.
    const host = this.#host.replace(/\.$/, '')
    const options = { host, port, encryption, trust, timeout }
    const conversation = new Conversation(socket, options)
    this.#conversation = conversation
    await conversation.open()
    return conversation
  }

  async #login(conversation: Conversation): Promise<void> {
    const { login = '', password = '' } = this.#mail
    if (login === '') return
    this.#step = `Logging in to ${this.#place}`
    if (!conversation.takesLogins)
      throw new TaskError(
        'login-unavailable',
        `${this.#step} failed: it offers no login. Leave out login and password, or use the port for submissions, often 587 or ${TLS_PORT}.`,
        { retryable: false },
      )
    await conversation.login(login, password)
  }

  #onBytes(bytes: number, total: number): void {
    if (this.#isStopped) return
    this.#task.progress(bytes, total)
    if (bytes < total) return
    this.#isHandedOver = true
    const { deadline } = this.#task
    if (deadline === undefined) return
    // Errand would make another attempt after a timeout, and the mail might come twice.
    const left = Math.max(deadline.getTime() - Date.now(), 0)
    const within = Math.max(left - BEFORE_DEADLINE_MS, left / 2)
    this.#deadlineTimer = setTimeout(() => this.#stop(timedOut(within)), within)
  }

  #explain(error: unknown, id: string): unknown {
    if (error === this.#task.signal.reason) {
      if (this.#isHandedOver)
        this.#task.log.warn('Ended after all of the message was sent: it may have been delivered')
      return error
    }
    if (error instanceof TaskError || !(error instanceof Error)) return error
    const failure = toTaskError(error, this.#step, id)
    if (!this.#isHandedOver || failure.code === 'message-refused') return failure
    return new TaskError(
      'delivery-unknown',
      `The mail may have been delivered: ${this.#place} got all of it and did not answer (${failure.code}). Look for ${id} in its log before it is sent again.`,
      { retryable: false, output: { message_id: id }, cause: error },
    )
  }

  #checkStopped(): void {
    if (this.#isStopped) throw new Error('The delivery has ended')
  }

  get #place(): string {
    const { smtp_host: host, smtp_port: port } = this.#mail
    return host.includes(':') ? `[${this.#host}]:${port}` : `${host}:${port}`
  }
}

function encryptionOf(port: number, useTls: boolean): ConversationOptions['encryption'] {
  if (port === TLS_PORT) return 'tls'
  return useTls ? 'starttls' : 'none'
}

/** As DNS, certificates and the operator's rules know it. */
function hostOf(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) !== 0) return host
  const ascii = domainToASCII(host)
  if (ascii !== '') return ascii
  throw new TaskError(
    'unknown-host',
    `smtp_host is ${JSON.stringify(text)}, which is no name of a host and no address.`,
    { retryable: false },
  )
}

/** Node looks a host up by itself where it is a name: here it gets what was found and allowed. */
function connectTo(host: string, port: number, addresses: readonly LookupAddress[]): Socket {
  const lookup: LookupFunction = (_host, options, callback) => {
    const [first] = addresses
    if (options.all === true) callback(null, [...addresses])
    else callback(null, first?.address ?? '', first?.family)
  }
  const socket = connect({
    host,
    port,
    lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_WITHIN_MS,
  })
  // Under TLS nobody else listens, and what nobody hears of would end the server.
  return socket.on('error', () => {})
}

function checkUtf8({ sender, recipients }: Message, conversation: Conversation): void {
  const address = [sender, ...recipients].find((one) => /[^\p{ASCII}]/u.test(one))
  if (address === undefined || conversation.takesUtf8Addresses) return
  throw new TaskError(
    'address-not-supported',
    `Nothing was sent: the server takes no addresses with such letters as ${address} (it has no SMTPUTF8).`,
    { retryable: false },
  )
}

function timedOut(ms: number): Error {
  return Object.assign(new Error(`nothing came within ${ms} ms`), { code: 'ETIMEDOUT' })
}
