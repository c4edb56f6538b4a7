import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { Identity } from './certificates.ts'

/** What a service got. */
export interface Received {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
}

export type Respond = (
  request: Received,
  response: ServerResponse,
  socket: Socket,
) => void | Promise<void>

/** An HTTP service of a test, on loopback, ended with it. */
export interface Service {
  /** Its origin, without a slash. */
  url: string
  received: Received[]
  /** The connections that are open. */
  sockets: Set<Socket>
}

/** Serves over HTTPS where it is given who it is. */
export async function startService(
  t: Test,
  respond: Respond,
  identity?: Identity,
): Promise<Service> {
  const received: Received[] = []
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url: path = '', headers } = request
    const got = { method, path, headers, body: await text(request).catch(() => '') }
    received.push(got)
    await respond(got, response, request.socket)
  }
  const server =
    identity === undefined ? createServer(listener) : createTlsServer(identity, listener)
  const { port, sockets } = await start(t, server)
  const scheme = identity === undefined ? 'http' : 'https'
  return { url: `${scheme}://127.0.0.1:${port}`, received, sockets }
}

/** Serves whatever bytes a test wants. */
export async function startTcp(
  t: Test,
  onConnection: (socket: Socket) => void,
): Promise<{ address: string; sockets: Set<Socket> }> {
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    onConnection(socket)
  })
  const { port, sockets } = await start(t, server)
  return { address: `127.0.0.1:${port}`, sockets }
}

/** A port of loopback on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function start(t: Test, server: Server): Promise<{ port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}
