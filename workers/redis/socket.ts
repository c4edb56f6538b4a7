import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectByTls, type TLSSocket } from 'node:tls'
import { TaskError } from '../../src/task/worker.ts'
import type { Input } from './schema.ts'

/** How long one of several addresses is waited for before the next is tried beside it. */
const NEXT_ADDRESS_MS = 1_000

/**
 * Connects to one of these addresses, with TLS where the input says so.
 *
 * @param signal ends it; the socket is gone then
 */
export async function openSocket(
  input: Pick<Input, 'host' | 'port' | 'tls'>,
  addresses: readonly LookupAddress[],
  signal: AbortSignal,
): Promise<Socket> {
  const host = input.host.replace(/^\[(.*)\]$/, '$1')
  const options = {
    host,
    port: input.port ?? 6_379,
    lookup: lookupOf(addresses),
    noDelay: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
  }
  const { tls = false } = input
  const socket = tls === false ? connect(options) : startTls(options, tls === true ? {} : tls)
  // An error can come at any time, and one that nobody listens to would end the server.
  socket.on('error', () => {})
  try {
    await once(socket, tls === false ? 'connect' : 'secureConnect', { signal })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function startTls(
  options: ConnectionOptions & { host: string },
  tls: Exclude<Input['tls'], boolean | undefined>,
): TLSSocket {
  try {
    // A name, never an address (RFC 6066): certificates of addresses are checked against the host.
    const servername = tls.servername ?? (isIP(options.host) === 0 ? options.host : '')
    const { ca, cert, key } = tls
    return connectByTls({ ...options, ca, cert, key, servername, rejectUnauthorized: true })
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
    throw new TaskError(
      'invalid-tls',
      `TLS could not be set up: one of ca, cert and key is no PEM, or cert and key do not fit${reason}.`,
      { retryable: false },
    )
  }
}

/** The host was looked up before, and checked: to look again might lead elsewhere. */
function lookupOf(addresses: readonly LookupAddress[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses
    if (all === true) callback(null, [...addresses])
    else callback(null, first?.address ?? '', first?.family)
  }
}
