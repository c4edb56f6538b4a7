import fc from 'fast-check'
import t from 'tap'
import { MAX_REPLY_BYTES, ReplyFrames } from '../../../workers/redis/reply-frames.ts'

/** Replies of every form, nested to any depth that is allowed. */
const { reply } = fc.letrec<{ reply: Buffer; list: Buffer }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 6 },
    fc.stringMatching(/^[+-][ -~]{0,40}$/).map((line) => Buffer.from(`${line}\r\n`)),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => Buffer.from(`:${n}\r\n`)),
    fc.constantFrom('$-1\r\n', '*-1\r\n', '*0\r\n', '$0\r\n\r\n').map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 40 }).map(bulk),
    tie('list'),
  ),
  list: fc
    .array(tie('reply'), { minLength: 1, maxLength: 5 })
    .map((elements) => Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements])),
}))

function bulk(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
}

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b)
  return [0, ...ends].map((from, i) => bytes.subarray(from, ends[i] ?? bytes.length))
}

t.test('whatever the pieces, the reply is whole, and there at its last byte', async (t) => {
  fc.assert(
    fc.property(
      fc.array(reply, { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat()),
      (all, cuts) => {
        const frames = new ReplyFrames()
        for (const one of all) {
          frames.expect()
          const taken = pieces(one, cuts).map((piece) => frames.take(piece))
          const last = taken.pop()
          if (taken.some((early) => early !== undefined)) return false
          if (last === undefined || !last.equals(one)) return false
        }
        return true
      },
    ),
    { numRuns: 500 },
  )
  t.pass('for 500 sequences of replies')
})

t.test('whatever the bytes, they are a reply, too few, or refused', async (t) => {
  const bytes = fc.stringMatching(/^[-+:$*>%~_#,(=!0-9a\r\n]{1,60}$/)
  fc.assert(
    fc.property(bytes, fc.array(fc.nat()), (text, cuts) => {
      const take = (chunks: readonly Buffer[]) => {
        const frames = new ReplyFrames()
        frames.expect()
        try {
          return chunks
            .map((chunk) => frames.take(chunk)?.length ?? 0)
            .join('')
            .replace(/^0+/, '')
        } catch (error) {
          return error instanceof Error && 'code' in error ? error.code : error
        }
      }
      return take([Buffer.from(text)]) === take(pieces(Buffer.from(text), cuts))
    }),
    { numRuns: 2_000 },
  )
  t.pass('the same, whatever the pieces')
})

t.test('the bound is exact', async (t) => {
  const fits = bulk(Buffer.alloc(MAX_REPLY_BYTES - '$16777204\r\n\r\n'.length))
  t.equal(fits.length, MAX_REPLY_BYTES)
  const frames = new ReplyFrames()
  frames.expect()
  t.equal(frames.take(fits)?.length, MAX_REPLY_BYTES)
  frames.expect()
  t.throws(() => frames.take(bulk(Buffer.alloc(MAX_REPLY_BYTES - 10))), { code: 'reply-too-large' })
})

t.test('what nobody asked for is refused', async (t) => {
  t.throws(() => new ReplyFrames().take(Buffer.from('+OK\r\n')), { code: 'invalid-reply' })
})
