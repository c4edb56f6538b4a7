import { createHash, timingSafeEqual } from 'node:crypto'
import ssh2 from 'ssh2'
import { TaskError } from '../../src/task/worker.ts'

/** The signature algorithms of each type of key, the best first. Those by SHA-1 are not among them. */
const ALGORITHMS: ReadonlyMap<string, readonly ssh2.ServerHostKeyAlgorithm[]> = new Map([
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256']],
] as const)
/** The first field of a key is its type, with the length before it: in base64 it begins with this. */
const BASE64 = /^AAAA[A-Za-z0-9+/]+={0,2}$/
const FINGERPRINT = /^SHA256:([A-Za-z0-9+/]{43})=?$/

interface Key {
  type: string
  blob: Buffer
}

/** The keys that a host may show, as they were given to the task. */
export class HostKeys {
  readonly #keys: readonly Key[]
  readonly #digests: readonly Buffer[]

  private constructor(keys: readonly Key[], digests: readonly Buffer[]) {
    this.#keys = keys
    this.#digests = digests
  }

  /**
   * Reads lines of `ssh-keyscan` and known_hosts, public keys, their bare base64, and fingerprints.
   *
   * @throws {@link TaskError} `bad-hostkey`
   */
  static parse(text: string): HostKeys {
    const keys: Key[] = []
    const digests: Buffer[] = []
    for (const [i, line] of text.split(/\r\n|\n|\r/).entries()) {
      const words = line.trim().split(/\s+/)
      if (words[0] === '' || words[0]?.startsWith('#')) continue
      const digest = fingerprintIn(words)
      if (digest === undefined) keys.push(parseKey(words, i + 1))
      else digests.push(digest)
    }
    if (keys.length + digests.length === 0) throw bad('it has no key')
    return new HostKeys(keys, digests)
  }

  /**
   * The algorithms to offer: only those of the keys that are known, or the host would show another of its
   * keys. A fingerprint does not say of what type its key is.
   */
  get algorithms(): ssh2.ServerHostKeyAlgorithm[] {
    const types = new Set(this.#keys.map(({ type }) => type))
    return [...ALGORITHMS].flatMap(([type, algorithms]) =>
      this.#digests.length > 0 || types.has(type) ? algorithms : [],
    )
  }

  /** Whether a key that a host has shown is one of them. */
  has(shown: Buffer): boolean {
    const digest = sha256(shown)
    const isKey = this.#keys.filter(({ blob }) => isSame(blob, shown)).length > 0
    const isDigest = this.#digests.filter((known) => isSame(known, digest)).length > 0
    return isKey || isDigest
  }

  /** Their fingerprints, for people. */
  toString(): string {
    return [
      ...this.#keys.map(({ blob }) => fingerprint(blob)),
      ...this.#digests.map((digest) => print(digest)),
    ].join(' or ')
  }
}

/** The fingerprint of a key with its type, as OpenSSH shows it. */
export function fingerprint(blob: Buffer): string {
  return `${print(sha256(blob))} (${typeOf(blob) ?? 'of no known type'})`
}

/** A fingerprint alone, or as `ssh-keygen -l` prints it: the length of the key before it. */
function fingerprintIn(words: readonly string[]): Buffer | undefined {
  const [, digest] = FINGERPRINT.exec(words[0] ?? '') ?? FINGERPRINT.exec(words[1] ?? '') ?? []
  return digest === undefined ? undefined : Buffer.from(digest, 'base64')
}

function parseKey(words: readonly string[], line: number): Key {
  const place = `line ${line}`
  if (words[0]?.startsWith('@')) {
    throw bad(`${place} has the marker ${words[0].slice(0, 20)}; give keys of the host itself`)
  }
  const at = words.findIndex((word) => BASE64.test(word))
  if (at === -1) throw bad(`${place} has no public key`)
  const blob = Buffer.from(words[at] ?? '', 'base64')
  const type = typeOf(blob)
  if (type === undefined || !ALGORITHMS.has(type)) {
    const shown = type === undefined ? '' : ` ${JSON.stringify(type)}`
    throw bad(`${place} has a key of the type${shown}, which is none of ${[...ALGORITHMS.keys()]}`)
  }
  const said = words[at - 1]
  if (said !== undefined && said !== type) {
    throw bad(`${place} says ${JSON.stringify(said.slice(0, 40))}, and the key is of type ${type}`)
  }
  if (ssh2.utils.parseKey(`${type} ${words[at]}`) instanceof Error) {
    throw bad(`${place} has a key that is cut short or damaged`)
  }
  return { type, blob }
}

function typeOf(blob: Buffer): string | undefined {
  if (blob.length < 4) return undefined
  const length = blob.readUInt32BE(0)
  const type = blob.subarray(4, 4 + length).toString('latin1')
  return length <= 64 && type.length === length && /^[\x21-\x7e]+$/.test(type) ? type : undefined
}

function isSame(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function sha256(blob: Buffer): Buffer {
  return createHash('sha256').update(blob).digest()
}

function print(digest: Buffer): string {
  return `SHA256:${digest.toString('base64').replace(/=+$/, '')}`
}

function bad(reason: string): TaskError {
  return new TaskError(
    'bad-hostkey',
    `The hostkey cannot be read: ${reason}. What ssh-keyscan prints for the host will do.`,
    { retryable: false },
  )
}
