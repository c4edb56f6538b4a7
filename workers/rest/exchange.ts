import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import type { IncomingHttpHeaders } from 'undici/types/header.js'
import { connectionError } from '../../src/task/connection-error.ts'
import { Bytes, MAX_BYTES, tooLarge } from './bytes.ts'
import type { Stop, StopListener } from './stop.ts'

/** Methods that may be sent again where a connection was lost before any answer (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
/** Connections kept alive that may turn out to be closed, one after the other. */
const MAX_STALE = 3

/** An answer as it came: one header may stand several times. */
export interface RawAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/**
 * One request and its answer, the body collected. It stands below `undici.request`, whose stream costs more
 * than all the rest and knows no bound, and which cannot let go of a connection that is not yet made.
 */
export class Exchange implements Dispatcher.DispatchHandler, StopListener {
  /** Why it was ended before its answer was there, or undefined. */
  ended: Error | undefined
  readonly #dispatcher: Dispatcher
  readonly #request: Dispatcher.DispatchOptions
  readonly #bytes = new Bytes()
  #resolve: ((answer: RawAnswer) => void) | undefined
  #reject: ((reason: Error) => void) | undefined
  #controller: Dispatcher.DispatchController | undefined
  #connecting: Socket | undefined
  #status = 0
  #headers: IncomingHttpHeaders = {}
  #isOnNewConnection = false
  #isAnswered = false
  #stale = 0

  constructor(dispatcher: Dispatcher, request: Dispatcher.DispatchOptions) {
    this.#dispatcher = dispatcher
    this.#request = request
  }

  /** Sends the request and resolves with its answer. However it ends, nothing of it goes on. */
  send(stop: Stop): Promise<RawAnswer> {
    stop.check()
    stop.listen(this)
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#dispatcher.dispatch(this.#request, this)
    })
  }

  onStop(reason: Error): void {
    this.ended = reason
    this.#reject?.(reason)
    this.#controller?.abort(reason)
    this.#connecting?.destroy(reason)
  }

  /** Told of the connection that is being opened for it. */
  onConnecting(socket: Socket): void {
    this.#isOnNewConnection = true
    this.#connecting = socket
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#connecting = undefined
    if (this.ended !== undefined) controller.abort(this.ended)
  }

  onResponseStarted(): void {
    this.#isAnswered = true
  }

  onResponseStart(_controller: unknown, status: number, headers: IncomingHttpHeaders): void {
    // 1xx tells of an answer that is still to come.
    if (status < 200) return
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (Number(this.#headers['content-length']) > MAX_BYTES) throw tooLarge()
    this.#bytes.append(chunk)
  }

  onResponseEnd(): void {
    this.#controller = undefined
    this.#resolve?.({ status: this.#status, headers: this.#headers, body: this.#bytes.all() })
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#controller = undefined
    this.#connecting = undefined
    if (!this.#wasStale(error)) return this.#reject?.(error)
    this.#stale++
    this.#dispatcher.dispatch(this.#request, this)
  }

  /** Whether the server closed a connection, kept alive, just as it was used again. */
  #wasStale(error: Error): boolean {
    return (
      this.ended === undefined &&
      !this.#isOnNewConnection &&
      !this.#isAnswered &&
      this.#stale < MAX_STALE &&
      IDEMPOTENT.has(this.#request.method) &&
      connectionError(error, '').code === 'connection-lost'
    )
  }
}
