import fc from 'fast-check'
import t from 'tap'
import { Capture } from '../../../workers/command/capture.ts'

function captured(limit: number, chunks: readonly Uint8Array[]): Capture {
  const capture = new Capture(limit)
  for (const chunk of chunks) capture.add(Buffer.from(chunk))
  return capture
}

t.test('within the bound everything is kept, past it the beginning and the end', async () => {
  const chunk = fc.uint8Array({ maxLength: 50 }).map((bytes) => bytes.map((byte) => byte & 127))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.array(chunk), (limit, chunks) => {
      const capture = captured(limit, chunks)
      const all = Buffer.concat(chunks).toString('latin1')
      const dropped = Math.max(0, all.length - limit)
      const half = Math.ceil(limit / 2)
      const cut = `${all.slice(0, half)}\n[… ${dropped} bytes left out …]\n${all.slice(half + dropped)}`
      return capture.dropped === dropped && capture.text() === (dropped === 0 ? all : cut)
    }),
    { numRuns: 1_000 },
  )
})

t.test('no character is cut in two, wherever the chunks or the bound cut', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 8, max: 60 }),
      fc.array(fc.constantFrom('a', 'ä', '語', '😀'), { maxLength: 60 }),
      fc.integer({ min: 1, max: 7 }),
      (limit, characters, size) => {
        const bytes = Buffer.from(characters.join(''))
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        )
        const text = captured(limit, chunks).text()
        const [head = '', tail = ''] = text.split(/\n\[… \d+ bytes left out …\]\n/)
        const all = characters.join('')
        return !text.includes('\ufffd') && all.startsWith(head) && all.endsWith(tail)
      },
    ),
    { numRuns: 1_000 },
  )
})

t.test('many small chunks take the memory of what is kept', async (t) => {
  const capture = new Capture(1_000)
  const chunk = Buffer.from('xy')
  for (let i = 0; i < 1_000_000; i++) capture.add(chunk)
  t.equal(capture.dropped, 1_999_000)
  t.equal(capture.text().length, 1_000 + '\n[… 1999000 bytes left out …]\n'.length)
})
