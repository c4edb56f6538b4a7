import fc from 'fast-check'
import t from 'tap'
import { REDACTED, Redactor } from '../../src/engine/redactor.ts'
import type { Json } from '../../src/task/json.ts'

const secret = 'p@ss "w/rd"+ü'

t.test('a secret is taken out in the forms that texts put it in', async (t) => {
  const redactor = new Redactor([secret])
  const texts = [
    secret,
    `before ${secret} after`,
    JSON.stringify({ secret }),
    JSON.stringify(JSON.stringify({ secret })).slice(1, -1).replaceAll('\\\\\\"', '\\"'),
    `https://x/?q=${encodeURIComponent(secret)}`,
    `a=${encodeURIComponent(secret).replaceAll('%20', '+')}`,
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
  ]
  for (const text of texts) t.match(redactor.text(text), REDACTED, text)
  for (const text of texts.slice(0, 2)) t.notMatch(redactor.text(text), 'w/rd', text)
  t.equal(redactor.text('nothing of it'), 'nothing of it')
})

t.test('base64 of something around it shows nothing of it', async (t) => {
  const ascii = fc.string({ minLength: 0, maxLength: 12 })
  const long = fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme-ascii' })
  fc.assert(
    fc.property(ascii, long, ascii, (before, hidden, after) => {
      const encoded = Buffer.from(before + hidden + after).toString('base64')
      const shown = new Redactor([hidden]).text(encoded)
      t.ok(shown.includes(REDACTED), `${encoded} ${hidden}`)
    }),
    { numRuns: 200 },
  )
})

t.test('whatever the secret and the text around it, it does not show', async (t) => {
  const text = fc.string({ maxLength: 30 })
  fc.assert(
    fc.property(text, fc.string({ minLength: 4, maxLength: 30 }), text, (before, hidden, after) => {
      fc.pre(!REDACTED.includes(hidden) && !before.includes('[') && !after.includes(']'))
      const shown = new Redactor([hidden]).text(`${before}${hidden}${after}`)
      t.ok(!shown.includes(hidden) || (before + REDACTED + after).includes(hidden), shown)
    }),
  )
})

t.test('each line of a private key is a secret', async (t) => {
  const key = '-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\nq83vEjRWeJCrze8\n-----END KEY-----\n'
  const redactor = new Redactor([key])
  t.notMatch(redactor.text('line: q83vEjRWeJCrze8'), 'q83vEjRWeJCrze8')
  t.equal(redactor.text(`all: ${key}.`), `all: ${REDACTED}.`)
})

t.test('the longest secret first; a short one only as a whole', async (t) => {
  t.equal(new Redactor(['abcd', 'abcdef']).text('abcdefg'), `${REDACTED}g`)
  const short = new Redactor(['abc', ''])
  t.equal(short.text('abc'), REDACTED)
  t.equal(short.text('abcd'), 'abcd')
  t.equal(short.text(''), '')
})

t.test('in JSON it is taken out of values, names and numbers', async (t) => {
  const redactor = new Redactor(['12345', 'hunter2'])
  const value: Json = { a: ['hunter2', 12345, 1, null, true], 'x-hunter2': { b: 'no' } }
  t.strictSame(redactor.json(value), {
    a: [REDACTED, REDACTED, 1, null, true],
    [`x-${REDACTED}`]: { b: 'no' },
  })
})

t.test('a secret of any length, and any number of them, is hidden and never throws', async (t) => {
  const long = Array.from({ length: 60_000 }, (_, i) =>
    String.fromCharCode(33 + ((i * 7) % 90)),
  ).join('')
  const many = Array.from({ length: 3_000 }, (_, i) => `secret-number-${i}-of-many`)
  const redactor = new Redactor([long, ...many, 'lone \ud800 surrogate'])
  t.equal(redactor.text(`before ${long} after`), `before ${REDACTED} after`)
  t.equal(redactor.text(`x ${many[2_999]} y`), `x ${REDACTED} y`)
})

t.test('what a header or a cookie carries is a secret by itself', async (t) => {
  const pair = 'user:hunter2-secret'
  const redactor = new Redactor([
    'Bearer tok-abcdef-123456',
    `Basic ${Buffer.from(pair).toString('base64')}`,
    'sid=abcdef123456; t=zzzzyyyyxxxx',
    'trimmed1\n',
  ])
  for (const text of [
    'tok-abcdef-123456',
    pair,
    'hunter2-secret',
    'abcdef123456',
    'zzzzyyyyxxxx',
    'trimmed1',
  ])
    t.equal(redactor.text(`<${text}>`), `<${REDACTED}>`, text)
})

t.test('the escapes of other languages are known', async (t) => {
  const redactor = new Redactor(['pä/ss!w"or&d'])
  const texts = [
    'p\\u00e4\\/ss!w\\"or&d',
    'pä\\/ss!w\\"or&d',
    'p%C3%A4/ss!w%22or%26d',
    'p%c3%a4%2fss%21w%22or%26d',
    'pä/ss!w&quot;or&amp;d',
  ]
  for (const text of texts) t.equal(redactor.text(`<${text}>`), `<${REDACTED}>`, text)
})

t.test('a short secret changes no number and no name', async (t) => {
  t.strictSame(new Redactor(['200', 'text']).json({ text: 'ok', status: 200, a: '200' }), {
    [REDACTED]: 'ok',
    status: 200,
    a: REDACTED,
  })
})
