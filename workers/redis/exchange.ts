import type { Socket } from 'node:net'
import { connectionError } from '../../src/task/connection-error.ts'
import type { Json } from '../../src/task/json.ts'
import { type TaskContext, TaskError } from '../../src/task/worker.ts'
import { type Command, toCommand } from './command.ts'
import { commandRefused, loginRefused } from './error-reply.ts'
import type { Input } from './schema.ts'
import { ErrorReply, Session } from './session.ts'
import { openSocket } from './socket.ts'
import { toJson } from './value.ts'

/**
 * Performs a command on a connection of its own, which is closed when this settles: with the reply, at the
 * task's abort, or at the input's timeout.
 */
export async function exchange(input: Input, task: TaskContext): Promise<Json> {
  const command = toCommand(input)
  task.signal.throwIfAborted()
  const stop = new AbortController()
  const run = new Exchange(input, command, stop.signal)
  const timeout = input.timeout ?? 10_000
  const timer = setTimeout(() => stop.abort(run.timedOut(timeout)), timeout)
  const onAbort = () => stop.abort(task.signal.reason)
  task.signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await run.perform(task)
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : run.failed(error)
  } finally {
    clearTimeout(timer)
    task.signal.removeEventListener('abort', onAbort)
  }
}

class Exchange {
  readonly #input: Input
  readonly #command: Command
  readonly #signal: AbortSignal
  readonly #server: string
  /** From then on, nobody here knows whether the command was performed. */
  #isSent = false

  constructor(input: Input, command: Command, signal: AbortSignal) {
    this.#input = input
    this.#command = command
    this.#signal = signal
    this.#server = `Redis at ${input.host}:${input.port ?? 6_379}`
  }

  async perform(task: TaskContext): Promise<Json> {
    const addresses = await orAborted(task.egress.resolve(this.#input.host), this.#signal)
    const socket = await openSocket(this.#input, addresses, this.#signal)
    const onAbort = () => socket.destroy()
    this.#signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#signal.throwIfAborted()
      const session = await Session.open(socket)
      await this.#logIn(session)
      await this.#selectDatabase(session)
      return toJson(await this.#ask(session))
    } finally {
      await close(socket)
    }
  }

  failed(error: unknown): TaskError {
    if (error instanceof TaskError) return error
    if (!this.#isSent) return connectionError(error, `Connecting to ${this.#server}`)
    const { name, isReadOnly } = this.#command
    const lost = connectionError(error, `${name} on ${this.#server}`)
    return new TaskError(lost.code, `${lost.message} ${this.#outcome()}`, {
      retryable: lost.retryable && isReadOnly,
    })
  }

  timedOut(timeout: number): TaskError {
    const { name, isReadOnly } = this.#command
    if (!this.#isSent) {
      const hint = (this.#input.tls ?? false) === false ? '' : ' Does it speak TLS at this port?'
      const message = `Connecting to ${this.#server} failed: nothing answered within ${timeout} ms.${hint}`
      return new TaskError('connection-timeout', message)
    }
    const message = `${name} on ${this.#server} had no reply within ${timeout} ms. ${this.#outcome()}`
    return new TaskError('reply-timeout', message, { retryable: isReadOnly })
  }

  #outcome(): string {
    return this.#command.isReadOnly
      ? 'It only reads, and may be asked again.'
      : 'It was sent, and may have been performed: look before you send it again.'
  }

  async #logIn(session: Session): Promise<void> {
    const { username, password } = this.#input
    if (username === undefined && password === undefined) return
    const args = [...(username === undefined ? [] : [username]), password ?? '']
    await answered(session.ask('AUTH', args), loginRefused)
  }

  async #selectDatabase(session: Session): Promise<void> {
    const { db = 0 } = this.#input
    if (db === 0) return
    await answered(session.ask('SELECT', [String(db)]), (message) =>
      commandRefused(`database ${db}`, [], message),
    )
  }

  async #ask(session: Session): Promise<unknown> {
    const { name, args } = this.#command
    this.#isSent = true
    return answered(session.ask(name, args), (message) => commandRefused(name, args, message))
  }
}

async function answered<T>(
  reply: Promise<T>,
  toFailure: (message: string) => TaskError,
): Promise<T> {
  try {
    return await reply
  } catch (error) {
    throw error instanceof ErrorReply ? toFailure(error.message) : error
  }
}

/** Names are looked up by the system, which cannot be told to stop: its answer is not waited for. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function close(socket: Socket): Promise<void> {
  socket.destroy()
  if (socket.closed) return
  await new Promise((resolve) => socket.once('close', resolve))
}
