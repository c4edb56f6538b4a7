import fc from 'fast-check'
import t from 'tap'
import { LineLog } from '../../../workers/command/line-log.ts'

function logged(chunks: readonly Buffer[]): string[] {
  const lines: string[] = []
  const log = new LineLog((line) => lines.push(line))
  for (const chunk of chunks) log.add(chunk)
  log.end()
  return lines
}

t.test('lines come whole, however they were cut on their way', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'ä', '語', '\n', '\r\n'), maxLength: 80 })
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 9 }), (text, size) => {
      const bytes = Buffer.from(text)
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      const expected = text.split(/\r?\n/)
      if (expected.at(-1) === '') expected.pop()
      return JSON.stringify(logged(chunks)) === JSON.stringify(expected)
    }),
    { numRuns: 1_000 },
  )
})

t.test('a line is bounded, and cut between characters', async (t) => {
  const long = Buffer.from('語'.repeat(100_000))
  for (const chunks of [[long], [long.subarray(0, 5_000), long.subarray(5_000)]]) {
    const lines = logged([...chunks, Buffer.from('\nnext\n')])
    t.same(lines, [`${'語'.repeat(Math.floor(8_192 / 3))}…`, 'next'])
  }
  t.same(logged([Buffer.from(`${'x'.repeat(8_192)}\n`)]), ['x'.repeat(8_192)])
})

t.test('a flood is logged in part, and says so', async (t) => {
  const lines = logged([Buffer.from('y\n'.repeat(50_000))])
  t.equal(lines.length, 1_001)
  t.equal(lines.at(-1), '[… 49000 lines left out: more than 1000 a second …]')
})
