import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { AbstractConnector, Command, Redis } from 'ioredis'
import { ReplyFrames } from './reply-frames.ts'

/** An error that the server answered with. */
export class ErrorReply extends Error {
  override readonly name = 'ErrorReply'
}

/** Redis over a socket that is connected: commands, one after the other. It ends with the socket. */
export class Session {
  readonly #channel: Channel
  readonly #redis: Redis

  private constructor(channel: Channel, redis: Redis) {
    this.#channel = channel
    this.#redis = redis
  }

  static async open(socket: Socket): Promise<Session> {
    const channel = new Channel(socket)
    const redis = new Redis({
      Connector: connectorOf(channel),
      lazyConnect: true,
      // One connection and no other, on which nothing is sent but what is asked here, and that once.
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      enableAutoPipelining: false,
      enableReadyCheck: false,
      disableClientInfo: true,
      // Replies have the same form on every server, and no field name that is no text is lost.
      protocol: 2,
      stringNumbers: true,
    })
    // What went wrong is told to who asked.
    redis.on('error', () => {})
    try {
      await redis.connect()
    } catch {
      throw channel.errored ?? closed()
    }
    return new Session(channel, redis)
  }

  /**
   * @returns the reply: strings as buffers, integers as strings
   * @throws ErrorReply, or the error that ended the connection
   */
  async ask(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    this.#channel.expect()
    try {
      // In capitals, a command is none of those whose replies the client puts into another form.
      return await this.#redis.sendCommand(new Command(name, [...args], { replyEncoding: null }))
    } catch (error) {
      // Not passed on as it is: it carries the arguments.
      if (error instanceof Error && error.name === 'ReplyError') throw new ErrorReply(error.message)
      throw this.#channel.errored ?? closed()
    }
  }
}

/** A socket as the client sees it: whole replies, and only those that were asked for. */
class Channel extends Duplex {
  readonly #frames = new ReplyFrames()
  readonly #socket: Socket

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    // The client listens too, but not from the first moment.
    this.on('error', () => {})
    // What a server says at the door, such as that it is full, is the answer to what it is asked first.
    socket.pause()
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.once('error', (error) => this.destroy(error))
    socket.once('close', () => this.destroy())
    if (socket.destroyed) this.destroy()
  }

  /** One reply may come. */
  expect(): void {
    this.#frames.expect()
    this.#socket.resume()
  }

  setNoDelay(isOn?: boolean): this {
    this.#socket.setNoDelay(isOn)
    return this
  }

  setKeepAlive(isOn?: boolean, delay?: number): this {
    this.#socket.setKeepAlive(isOn, delay)
    return this
  }

  /** Replies are bounded, so what is read before it is asked for is as well. */
  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #take(chunk: Buffer): void {
    if (this.destroyed) return
    try {
      const reply = this.#frames.take(chunk)
      if (reply !== undefined) this.push(reply)
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

function connectorOf(channel: Channel) {
  return class extends AbstractConnector {
    constructor() {
      super(0)
    }

    override connect() {
      // Of a socket, the client uses what a Channel has.
      return Promise.resolve(channel as unknown as Socket)
    }

    override disconnect() {
      channel.destroy()
    }
  }
}

function closed(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })
}
