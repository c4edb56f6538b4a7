import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { Test } from 'tap'
import { program } from '../../program.ts'

export const USER = 'ada'
export const PASSWORD = 'correct horse battery staple'

/** A mail to send, but for the port. */
export const MAIL = {
  from: 'errand@example.com',
  to: 'ada@example.com',
  subject: 'Done',
  body: 'All of it.',
  smtp_host: '127.0.0.1',
  use_tls: false,
} as const

/** A mail as the server got it. */
export interface Received {
  from: string
  to: string[]
  raw: Buffer
  isSecure: boolean
  user: string | undefined
}

/** What a server sees of its connections. */
export interface Seen<T = unknown> {
  open: Set<T>
  count: number
  closedAt: number
}

export interface Keys {
  cert: string
  key: string
}

/** A certificate of its own authority, for these names. */
export function makeKeys(t: Test, names = 'DNS:localhost,IP:127.0.0.1'): Keys {
  const openssl = program(t, { names: ['openssl'], debian: 'openssl', untested: 'mail over TLS' })
  if (openssl === undefined) throw new Error('there is no openssl')
  const folder = mkdtempSync(join(tmpdir(), 'errand-smtp-'))
  try {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
    const identity = ['-nodes', '-days', '2', '-subj', '/CN=test', '-addext']
    execFileSync(
      openssl,
      [...request, ...identity, `subjectAltName=${names}`, '-keyout', key, '-out', cert],
      { stdio: 'ignore' },
    )
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A refusal with a reply code, as smtp-server takes it. */
export function reply(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}

/** A real SMTP server on a free port, which keeps what it gets and ends with the test. */
export async function startServer(
  t: Test,
  {
    host = '127.0.0.1',
    port = 0,
    ...options
  }: SMTPServerOptions & { host?: string; port?: number },
) {
  const mails: Received[] = []
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    onAuth({ username, password }, _session, callback) {
      if (username === USER && password === PASSWORD) callback(null, { user: USER })
      else callback(reply(535, '5.7.8 Wrong login or password'))
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.once('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks),
          isSecure: session.secure,
          user: session.user,
        })
        callback(null, 'taken')
      })
    },
    onClose: () => {
      seen.closedAt = performance.now()
    },
    ...options,
  })
  // What clients do wrong is what these tests are about.
  server.on('error', () => {})
  // A socket that TLS was laid over tells nothing of its end: the sessions do.
  const seen: Seen<unknown> = { open: server.connections, count: 0, closedAt: 0 }
  server.server.on('connection', () => seen.count++)
  server.listen(port, host)
  await Promise.race([
    once(server.server, 'listening'),
    once(server, 'error').then(([error]) => Promise.reject(error)),
  ])
  t.teardown(() => new Promise<void>((resolve) => server.close(resolve)))
  return { mails, seen, port: (server.server.address() as AddressInfo).port }
}

/** A server that does with each connection what the test says. */
export async function startRaw(t: Test, serve: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    serve(socket)
  })
  const seen = watch(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of seen.open) socket.destroy()
    server.close()
  })
  return { seen, port: (server.address() as AddressInfo).port }
}

/** Answers each line of a client by the first rule that fits it, as far as the rules go. */
export function answering(...rules: readonly (readonly [line: RegExp, answer: string])[]) {
  return (socket: Socket) => {
    let rest = ''
    socket.write('220 test ESMTP\r\n')
    socket.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const answer = rules.find(([pattern]) => pattern.test(line))?.[1]
        if (answer === 'close') socket.destroy()
        else if (answer !== undefined) socket.write(`${answer}\r\n`)
      }
    })
  }
}

/** A server that knows no extensions and takes everything, as far as the rules before these allow. */
export const TAKES_ALL = [
  [/^EHLO/, '250 test'],
  [/^MAIL/, '250 sender ok'],
  [/^RCPT/, '250 recipient ok'],
  [/^DATA/, '354 go on'],
  [/^\.$/, '250 taken'],
  [/^QUIT/, '221 bye'],
] as const

/** Passes on to a server what comes, and keeps what the client said. */
export async function startWiretap(t: Test, port: number) {
  const heard: Buffer[] = []
  const tap = await startRaw(t, (socket) => {
    const onward = connect(port, '127.0.0.1')
    onward.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
  return { port: tap.port, text: () => Buffer.concat(heard).toString('latin1') }
}

/** Counts the connections of a server, and tells when they are closed. */
function watch(server: Server): Seen<Socket> {
  const open = new Set<Socket>()
  const seen = { open, count: 0, closedAt: 0 }
  server.on('connection', (socket: Socket) => {
    seen.count++
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      seen.closedAt = performance.now()
    })
  })
  return seen
}
