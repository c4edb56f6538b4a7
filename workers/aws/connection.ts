import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { isIP } from 'node:net'
import { pipeline, Readable, Transform } from 'node:stream'
import type { Egress } from '../../src/task/egress.ts'
import type { Middleware } from './service.ts'

/** What is kept of one answer. */
export const MAX_RESPONSE_BYTES = 16 * 1_024 * 1_024
const CONNECT_WITHIN_MS = 10_000

/** The connections of one task: they ask where they may lead, and are closed with it. */
export class Connection {
  /** How far the latest request came. */
  stage: 'made' | 'sent' | 'answered' = 'made'
  /** Whether an answer was more than is kept. */
  isOverflown = false
  readonly #egress: Egress
  readonly #signal: AbortSignal
  readonly #http: HttpAgent
  readonly #https: HttpsAgent

  constructor(egress: Egress, signal: AbortSignal) {
    this.#egress = egress
    this.#signal = signal
    this.#http = new HttpAgent({ keepAlive: false, lookup: egress.lookup })
    this.#https = new HttpsAgent({ keepAlive: false, lookup: egress.lookup })
  }

  /** What a client of the SDK is told of it. */
  get config(): object {
    return {
      requestHandler: {
        httpAgent: this.#http,
        httpsAgent: this.#https,
        connectionTimeout: CONNECT_WITHIN_MS,
        // The deadline of the call is the only one from there on.
        requestTimeout: 0,
        socketTimeout: 0,
      },
    }
  }

  readonly middleware: Middleware = (next) => async (args) => {
    this.stage = 'made'
    await this.#check(hostOf(args.request))
    this.#signal.throwIfAborted()
    this.stage = 'sent'
    const answer = await next(args)
    this.stage = 'answered'
    this.#limit(answer.response)
    return answer
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  /** Of a host that is an address, Node asks no lookup. */
  async #check(host: string): Promise<void> {
    const bare = host.replace(/^\[(.*)\]$/, '$1')
    if (isIP(bare) !== 0) await this.#egress.resolve(bare)
  }

  #limit(response: unknown): void {
    if (!hasBody(response)) return
    const limited = new Limit(() => {
      this.isOverflown = true
    })
    // Whoever reads it is told of what went wrong; here nobody would.
    pipeline(response.body, limited, () => {})
    response.body = limited
  }
}

class Limit extends Transform {
  #left = MAX_RESPONSE_BYTES
  readonly #onOverflow: () => void

  constructor(onOverflow: () => void) {
    super()
    this.#onOverflow = onOverflow
  }

  override _transform(
    chunk: Buffer,
    _encoding: string,
    callback: (error: Error | null, chunk?: Buffer) => void,
  ): void {
    this.#left -= chunk.length
    if (this.#left >= 0) return callback(null, chunk)
    this.#onOverflow()
    callback(new Error(`more than ${MAX_RESPONSE_BYTES} bytes`))
  }
}

function hostOf(request: unknown): string {
  if (typeof request !== 'object' || request === null || !('hostname' in request)) return ''
  return String(request.hostname)
}

function hasBody(response: unknown): response is { body: Readable } {
  return (
    typeof response === 'object' &&
    response !== null &&
    'body' in response &&
    response.body instanceof Readable
  )
}
