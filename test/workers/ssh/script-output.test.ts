import t from 'tap'
import { ScriptOutput } from '../../../workers/ssh/script-output.ts'

function make(isDebugging = false) {
  const lines: string[] = []
  const to = (level: string) => (message: string) => lines.push(`${level}: ${message}`)
  const log = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  return { lines, output: new ScriptOutput('errand-marker', log, isDebugging) }
}

t.test('the marker and the characters may come in any parts', async (t) => {
  const bytes = Buffer.from('welcome errand-marker \nerrand-marker\nünï ✓ 𝒳\r\nend')
  for (let size = 1; size <= bytes.length; size++) {
    const { output, lines } = make()
    t.notOk(output.began)
    for (let at = 0; at < bytes.length; at += size) output.add(bytes.subarray(at, at + size))
    output.end()
    t.ok(output.began)
    t.equal(output.preamble, 'welcome errand-marker')
    t.equal(output.report, 'ünï ✓ 𝒳\r\nend')
    t.same(lines.slice(1), ['info: ünï ✓ 𝒳', 'info: end'])
  }
})

t.test('what comes before the script is bounded', async (t) => {
  const { output } = make()
  for (let i = 0; i < 100; i++) output.add(Buffer.alloc(10_000, 'x'))
  for (let i = 0; i < 100; i++) output.addError(Buffer.alloc(10_000, 'y'))
  t.equal(output.preamble.length, 65_536)
  output.add(Buffer.from('errand-marker\nscript'))
  t.equal(output.report, 'script')
})

t.test('lines of the log are bounded in length and in number', async (t) => {
  const { output, lines } = make()
  output.add(Buffer.from(`errand-marker\n${'x'.repeat(5_000)}\n${'y\n'.repeat(10_000)}`))
  output.end()
  t.equal(lines[0], `info: ${'x'.repeat(4_096)}…`)
  t.ok(lines.length <= 2_100, `${lines.length}`)
  t.match(lines.join('\n'), /warn: \d+ lines that came too fast/)
  t.equal(output.report.length, 5_001 + 20_000)
})

t.test('what is no UTF-8 is shown as such', async (t) => {
  const { output } = make()
  output.add(Buffer.from([...Buffer.from('errand-marker\na'), 0xff, 0xc3]))
  output.end()
  t.equal(output.report, 'a\ufffd\ufffd')
})

t.test('lines of bash -x are told apart, in debug mode', async (t) => {
  const { output, lines } = make(true)
  output.add(Buffer.from('errand-marker\n+ true\n+++ echo x\n+1\n'))
  t.same(lines, ['debug: + true', 'debug: +++ echo x', 'info: +1'])
})
