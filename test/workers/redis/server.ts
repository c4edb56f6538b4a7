import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { program } from '../../program.ts'
import { until } from '../../until.ts'

const TRY_AGAIN_MS = 20

export interface RedisServer {
  port: number
  /** The test's own look at the server, past the worker. */
  client: Redis
}

export interface RedisServerOptions {
  /** Further settings, as on its command line: `--requirepass`, `secret`. */
  settings?: readonly string[]
  /** How to reach it with TLS, where it speaks nothing else. */
  tls?: { ca: string; cert: string; key: string }
  password?: string
}

/** A Redis server of its own, on a free port of loopback, ended with the test; undefined where there is none. */
export async function startRedis(
  t: Test,
  { settings = [], tls, password }: RedisServerOptions = {},
): Promise<RedisServer | undefined> {
  const path = program(t, {
    names: ['redis-server', 'valkey-server'],
    debian: 'redis-server',
    variable: 'REDIS_SERVER',
    untested: 'the worker redis',
  })
  if (path === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'errand-redis-'))
  const port = await freePort()
  const ports = tls === undefined ? ['--port', `${port}`] : ['--port', '0', '--tls-port', `${port}`]
  const own = ['--bind', '127.0.0.1', '--save', '', '--dir', folder, '--tcp-backlog', '128']
  const child = spawn(path, [...ports, ...own, ...settings], { stdio: 'ignore' })
  const client = new Redis({
    host: '127.0.0.1',
    port,
    ...(tls === undefined ? {} : { tls: { ...tls, servername: 'localhost' } }),
    ...(password === undefined ? {} : { password }),
    retryStrategy: () => TRY_AGAIN_MS,
    maxRetriesPerRequest: null,
  })
  client.on('error', () => {})
  t.teardown(async () => {
    client.disconnect()
    if (child.exitCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })
  await until(() => client.status === 'ready')
  return { port, client }
}

/** How many connections the server has beside the test's own. */
export async function othersOf({ client }: RedisServer): Promise<number> {
  const list = String(await client.call('CLIENT', 'LIST'))
  return list.trim().split('\n').length - 1
}

/** A port of loopback at which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Stands where a Redis server should, and does what none does. */
export interface Impostor {
  port: number
  /** Those connected, in their order; those gone are still in it, destroyed. */
  sockets: readonly Socket[]
  /** All that it was sent. */
  received: () => string
}

export async function startImpostor(
  t: Test,
  onData: (socket: Socket, received: string) => void,
): Promise<Impostor> {
  const sockets: Socket[] = []
  let received = ''
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      onData(socket, received)
    })
  })
  const port = await listening(t, server, sockets)
  return { port, sockets, received: () => received }
}

/** What stands before a server and passes everything on, until it is told to cut. */
export async function startProxy(
  t: Test,
  target: number,
  onRequest: (cut: () => void, received: string) => void,
): Promise<number> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    const upstream = connect(target, '127.0.0.1')
    let isCut = false
    sockets.push(socket, upstream)
    for (const one of [socket, upstream]) one.on('error', () => {})
    socket.on('data', (chunk) => {
      onRequest(() => {
        isCut = true
      }, chunk.toString('latin1'))
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => (isCut ? socket.destroy() : socket.write(chunk)))
    socket.on('close', () => upstream.destroy())
    upstream.on('close', () => socket.destroy())
  })
  return listening(t, server, sockets)
}

async function listening(t: Test, server: Server, sockets: readonly Socket[]): Promise<number> {
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
