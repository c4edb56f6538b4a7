import { type LookupAddress, lookup as lookupByDns } from 'node:dns'
import { lookup as resolveByDns } from 'node:dns/promises'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { TaskError } from './worker.ts'

/**
 * Where clouds keep the credentials of a machine: link-local addresses of IPv4 and IPv6, those that some
 * providers chose outside of them, and the ways to write an IPv4 address as an IPv6 one that routers
 * translate (RFC 6052, RFC 3056).
 */
const METADATA: readonly Subnet[] = [
  ['169.254.0.0', 16],
  ['fe80::a9fe:a9fe', 128],
  ['fd00:ec2::', 32],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['64:ff9b::a9fe:0', 112],
  ['2002:a9fe::', 32],
]
/** Addresses that no route of the public internet leads to (RFC 1918, RFC 4193, RFC 6598). */
const PRIVATE: readonly Subnet[] = [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['64:ff9b:1::', 48],
]
const LOOPBACK: readonly Subnet[] = [
  ['127.0.0.0', 8],
  ['0.0.0.0', 8],
  ['::1', 128],
  ['::', 128],
]
const HOST = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?$/i

type Subnet = readonly [address: string, prefix: number]

/** What a task asks before it opens a connection. */
export interface Egress {
  /**
   * The addresses of a host that may be connected to: at least one. Connect to one of these, and not to the
   * name, which may lead elsewhere the next time it is looked up.
   *
   * @throws {@link TaskError} `egress-denied`, which no retry mends, and `unknown-host`
   */
  resolve(host: string): Promise<readonly LookupAddress[]>
  /**
   * The same as the `lookup` of `net.connect` and what stands on it. Node does not call it for a host that
   * is an address: check those with {@link Egress.resolve}.
   */
  readonly lookup: LookupFunction
}

interface Rule {
  isAllowed: boolean
  text: string
  matchesHost(host: string): boolean
  /** Addresses by their own, where the rule is of addresses. */
  addresses: BlockList | undefined
}

/**
 * Where tasks may connect to: rules in their order, of which the first that fits decides; what none fits is
 * allowed. The addresses of cloud metadata are denied unless a rule allows them by address.
 */
export class EgressPolicy implements Egress {
  /** As it was parsed. */
  readonly text: string
  readonly #rules: readonly Rule[]
  readonly #metadata = blockList(METADATA)

  private constructor(text: string, rules: readonly Rule[]) {
    this.text = text
    this.#rules = rules
  }

  /**
   * @param text `allow:TARGET` and `deny:TARGET`, separated by commas or spaces; a target is an address, a
   * CIDR block, a host name, `*.DOMAIN`, `private`, `loopback` or `*`
   * @throws TypeError naming the rule that is none
   */
  static parse(text: string): EgressPolicy {
    const rules: Rule[] = []
    for (const word of text.split(/[\s,]+/).filter((part) => part !== '')) {
      const rule = parseRule(word)
      if (rule === undefined) throw new TypeError(`${JSON.stringify(word)} is no rule`)
      rules.push(rule)
    }
    return new EgressPolicy(text, rules)
  }

  readonly lookup: LookupFunction = (host, options, callback) => {
    lookupByDns(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, [])
      const allowed = this.#allowed(host, found)
      const [first] = allowed
      if (first === undefined) return callback(denied(host, found), [])
      if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }

  async resolve(host: string): Promise<readonly LookupAddress[]> {
    const bare = host.replace(/^\[(.*)\]$/, '$1')
    const found = await this.#resolve(bare)
    const allowed = this.#allowed(bare, found)
    if (allowed.length === 0) throw denied(bare, found)
    return allowed
  }

  async #resolve(host: string): Promise<LookupAddress[]> {
    const family = isIP(host)
    if (family !== 0) return [{ address: host, family }]
    try {
      return await resolveByDns(host, { all: true })
    } catch (cause) {
      throw unknownHost(host, cause)
    }
  }

  #allowed(host: string, found: readonly LookupAddress[]): LookupAddress[] {
    return found.filter((address) => this.#isAllowed(host, address))
  }

  #isAllowed(host: string, { address, family }: LookupAddress): boolean {
    const isIn = (list: BlockList) =>
      list.check(withoutZone(address), family === 6 ? 'ipv6' : 'ipv4')
    const isMetadata = isIn(this.#metadata)
    for (const { isAllowed, matchesHost, addresses } of this.#rules) {
      if (addresses !== undefined && isIn(addresses)) return isAllowed
      // A name may lead anywhere: only who names the address means it.
      if (matchesHost(host) && !(isAllowed && isMetadata)) return isAllowed
    }
    return !isMetadata
  }
}

function parseRule(word: string): Rule | undefined {
  const [, verb, target = ''] = /^(allow|deny):(.+)$/i.exec(word) ?? []
  if (verb === undefined) return undefined
  const rule = { isAllowed: verb.toLowerCase() === 'allow', text: word }
  const never = () => false
  if (target === '*') return { ...rule, matchesHost: () => true, addresses: undefined }
  if (target === 'private') return { ...rule, matchesHost: never, addresses: blockList(PRIVATE) }
  if (target === 'loopback') return { ...rule, matchesHost: never, addresses: blockList(LOOPBACK) }
  const subnet = parseSubnet(target)
  if (subnet !== undefined) return { ...rule, matchesHost: never, addresses: blockList([subnet]) }
  if (!HOST.test(target) || /^[\d.]+$/.test(target)) return undefined
  return { ...rule, matchesHost: hostMatcher(target), addresses: undefined }
}

function parseSubnet(target: string): Subnet | undefined {
  const [, address = '', length] = /^\[?([^/\]]+)\]?(?:\/(\d{1,3}))?$/.exec(target) ?? []
  const family = isIP(address)
  if (family === 0) return undefined
  const bits = family === 4 ? 32 : 128
  const prefix = length === undefined ? bits : Number(length)
  return prefix <= bits ? [address, prefix] : undefined
}

function hostMatcher(pattern: string): (host: string) => boolean {
  const wanted = canonical(pattern)
  if (!wanted.startsWith('*.')) return (host) => canonical(host) === wanted
  return (host) => canonical(host).endsWith(wanted.slice(1))
}

function canonical(host: string): string {
  return host.toLowerCase().replace(/\.$/, '')
}

function blockList(subnets: readonly Subnet[]): BlockList {
  const list = new BlockList()
  for (const [address, prefix] of subnets)
    list.addSubnet(address, prefix, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  return list
}

function withoutZone(address: string): string {
  return address.replace(/%.*$/, '')
}

function denied(host: string, found: readonly LookupAddress[]): TaskError {
  const shown =
    isIP(host) === 0
      ? `${host} (${found
          .map(({ address }) => address)
          .slice(0, 4)
          .join(', ')})`
      : host
  return new TaskError(
    'egress-denied',
    `Tasks may not connect to ${shown}: ERRAND_EGRESS does not allow it, or it is an address of cloud metadata.`,
    { retryable: false },
  )
}

function unknownHost(host: string, cause: unknown): TaskError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const isTemporary = code === 'EAI_AGAIN' || code === 'ETIMEOUT'
  return new TaskError(
    'unknown-host',
    `The host ${JSON.stringify(host.slice(0, 253))} cannot be found: ${code === '' ? 'the name does not resolve' : code}.`,
    { retryable: isTemporary || code === 'ENOTFOUND', cause },
  )
}
