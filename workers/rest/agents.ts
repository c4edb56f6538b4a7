import { createHash, X509Certificate } from 'node:crypto'
import { isIP, Socket } from 'node:net'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, buildConnector, Client, type Dispatcher, Pool } from 'undici'
import type { Egress } from '../../src/task/egress.ts'
import { TaskError } from '../../src/task/worker.ts'
import { Exchange } from './exchange.ts'

/** Agents with certificates of their own that are kept for the next task that brings the same ones. */
const MAX_KEPT = 8
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g
/**
 * The deadline of a call is its own. HTTP/2 would share a connection among tasks, and then the cancel of one
 * could not close it.
 */
const OPTIONS: Agent.Options = { headersTimeout: 0, bodyTimeout: 0, allowH2: false }

/** An agent for the time of one task. */
export interface Lease {
  agent: Dispatcher
  release(): void
}

const byEgress = new WeakMap<Egress, Agents>()

/**
 * The agent that a task connects by: that of its egress, so that no connection is used that another policy
 * allowed; and where it brings certificates, that of those.
 *
 * @throws {@link TaskError} `invalid-cacert`
 */
export function leaseAgent(egress: Egress, cacert: string | undefined): Lease {
  let agents = byEgress.get(egress)
  if (agents === undefined) {
    agents = new Agents(egress)
    byEgress.set(egress, agents)
  }
  return agents.lease(cacert)
}

interface Kept {
  agent: Agent
  users: number
}

class Agents {
  readonly #egress: Egress
  readonly #plain: Lease
  readonly #byCertificates = new Map<string, Kept>()

  constructor(egress: Egress) {
    this.#egress = egress
    this.#plain = { agent: createAgent(egress, {}), release: () => {} }
  }

  lease(cacert: string | undefined): Lease {
    if (cacert === undefined) return this.#plain
    const key = createHash('sha256').update(cacert).digest('base64')
    const kept = this.#byCertificates.get(key) ?? {
      agent: createAgent(this.#egress, { secureContext: trusting(cacert) }),
      users: 0,
    }
    kept.users++
    // Set anew, it is the last to be given up.
    this.#byCertificates.delete(key)
    this.#byCertificates.set(key, kept)
    return { agent: kept.agent, release: () => this.#release(kept) }
  }

  #release(kept: Kept): void {
    kept.users--
    for (const [key, { agent, users }] of this.#byCertificates) {
      if (this.#byCertificates.size <= MAX_KEPT) return
      if (users > 0) continue
      this.#byCertificates.delete(key)
      void agent.close()
    }
  }
}

/** One connection, which knows the exchange that it carries: there is no more than one at a time. */
class OwnedClient extends Client {
  #owner: unknown

  constructor(origin: URL, options: Client.Options, connect: OwnedConnector) {
    super(origin, { ...options, connect: (to, done) => connect(to, done, this.#owner) })
  }

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    this.#owner = handler
    return super.dispatch(options, handler)
  }
}

type OwnedConnector = (
  to: buildConnector.Options,
  done: buildConnector.Callback,
  owner: unknown,
) => void

function createAgent(egress: Egress, tls: buildConnector.BuildOptions): Agent {
  const connect = createConnector(egress, tls)
  return new Agent({
    ...OPTIONS,
    factory: (origin, options) =>
      new Pool(origin, {
        ...options,
        factory: (url, own) => new OwnedClient(url, own, connect),
      }),
  })
}

/** Opens connections only to addresses that the egress allows. */
function createConnector(egress: Egress, tls: buildConnector.BuildOptions): OwnedConnector {
  const open = buildConnector({
    ...tls,
    allowH2: false,
    lookup: egress.lookup,
  })
  // The certificate must be that of the host in the URL, whatever the header `host` says.
  const openFor: OwnedConnector = ({ servername: _, ...to }, done, owner) => {
    if (!(owner instanceof Exchange)) return open(to, done)
    if (owner.ended !== undefined) return done(owner.ended, null)
    const socket: unknown = open(to, done)
    if (socket instanceof Socket) owner.onConnecting(socket)
  }
  return (to, done, owner) => {
    // Node looks names up, and takes addresses as they are.
    if (isIP(to.hostname) === 0) return openFor(to, done, owner)
    egress.resolve(to.hostname).then(
      () => openFor(to, done, owner),
      (error) => done(error, null),
    )
  }
}

/** What trusts the certificates that Node trusts, and these. */
function trusting(cacert: string): SecureContext {
  const own = cacert.match(CERTIFICATE) ?? []
  try {
    if (own.length === 0) throw new Error('it has no BEGIN CERTIFICATE')
    for (const pem of own) new X509Certificate(pem)
    return createSecureContext({ ca: [...getCACertificates('default'), ...own] })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TaskError(
      'invalid-cacert',
      `cacert must be one or more certificates in PEM form: ${reason}.`,
      { retryable: false, cause },
    )
  }
}
