import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { HostKeys } from '../../../workers/ssh/host-keys.ts'

/** The key of a type, as a host shows it. */
function blobOf(type: string, ...parts: Buffer[]): Buffer {
  return Buffer.concat(
    [Buffer.from(type), ...parts].flatMap((part) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(part.length)
      return [length, part]
    }),
  )
}

const ED25519 = blobOf('ssh-ed25519', randomBytes(32))
const RSA = blobOf('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.from([0, ...randomBytes(256)]))
const digest = `SHA256:${createHash('sha256').update(ED25519).digest('base64')}`

t.test('only the algorithms of the keys are offered, and none by SHA-1', async (t) => {
  const rsa = HostKeys.parse(`host ssh-rsa ${RSA.toString('base64')}`)
  t.same(rsa.algorithms, ['rsa-sha2-512', 'rsa-sha2-256'])
  const both = HostKeys.parse(`${RSA.toString('base64')}\n${ED25519.toString('base64')}`)
  t.same(both.algorithms, ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'])
  const fingerprint = HostKeys.parse(digest)
  t.equal(fingerprint.algorithms.length, 6, 'all, where a fingerprint stands for any')
  t.notOk(fingerprint.algorithms.includes('ssh-rsa'))
})

t.test('a key is one of them, or it is not', async (t) => {
  const keys = HostKeys.parse(`# comment\n${ED25519.toString('base64')} me@here\n`)
  t.ok(keys.has(ED25519))
  t.notOk(keys.has(RSA))
  t.notOk(keys.has(ED25519.subarray(0, -1)))
  t.notOk(keys.has(Buffer.concat([ED25519, Buffer.alloc(1)])))
  for (let i = 0; i < ED25519.length; i++) {
    const other = Buffer.from(ED25519)
    other[i] = (other[i] ?? 0) ^ 1
    t.notOk(keys.has(other))
  }
  t.ok(HostKeys.parse(digest).has(ED25519))
  t.ok(HostKeys.parse(digest.replace('=', '')).has(ED25519))
  t.notOk(HostKeys.parse(digest).has(RSA))
})

t.test('nothing that is given breaks it', async (t) => {
  for (const text of ['AAAA', 'AAAAAAAA', `AAAA/////${'A'.repeat(50)}`, '\0', '@', 'a b c d']) {
    t.throws(() => HostKeys.parse(text), { code: 'bad-hostkey', retryable: false }, text)
  }
})
