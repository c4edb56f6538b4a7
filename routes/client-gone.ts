import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { GiveUpSignal } from '../src/engine/waiters.ts'

/**
 * Aborts once the client has hung up. It listens to the socket: of answers that were asked for on one
 * connection, only the first hears that it has closed.
 */
export function clientGone(request: FastifyRequest): GiveUpSignal {
  return new ClientGone(request.raw.socket)
}

class ClientGone implements GiveUpSignal {
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  get aborted(): boolean {
    return this.#socket.destroyed
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    const socket = this.#socket
    // As many as the client pipelines.
    if (socket.listenerCount('close') >= socket.getMaxListeners()) socket.setMaxListeners(0)
    socket.on('close', listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#socket.off('close', listener)
  }
}
