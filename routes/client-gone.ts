import type { FastifyRequest } from 'fastify'
import type { GiveUpSignal } from '../src/engine/waiters.ts'

/**
 * Aborts once the client has hung up. It listens to the socket: of answers that were asked for on one
 * connection, only the first hears that it has closed.
 */
export function clientGone(request: FastifyRequest): GiveUpSignal {
  const { socket } = request.raw
  return {
    get aborted() {
      return socket.destroyed
    },
    addEventListener(_type, listener) {
      // As many as the client pipelines.
      if (socket.listenerCount('close') >= socket.getMaxListeners()) socket.setMaxListeners(0)
      socket.on('close', listener)
    },
    removeEventListener(_type, listener) {
      socket.off('close', listener)
    },
  }
}
