import t from 'tap'
import { Report } from '../../../workers/ssh/report.ts'

t.test('what fits is kept as it is', async (t) => {
  const report = new Report({ head: 5, tail: 5 })
  for (const part of ['ab', '', 'cd', 'efghij']) report.add(part)
  t.equal(report.toString(), 'abcdefghij')
  report.add('')
  t.equal(report.toString(), 'abcdefghij')
})

t.test('of what does not, the beginning and the end, and how much is missing', async (t) => {
  const note = (n: number) => `\n[… ${n} characters are left out here …]\n`
  for (const size of [1, 2, 3, 7, 100, 1_000]) {
    const report = new Report({ head: 5, tail: 7 })
    const text = Array.from({ length: 1_000 }, (_, i) => String(i % 10)).join('')
    for (let at = 0; at < text.length; at += size) report.add(text.slice(at, at + size))
    t.equal(report.toString(), `01234${note(988)}3456789`, `in parts of ${size}`)
    report.add('!')
    t.equal(report.toString(), `01234${note(989)}456789!`, 'it can go on')
  }
})

t.test('no character is parted', async (t) => {
  const report = new Report({ head: 4, tail: 4 })
  report.add(`abc${'𝒳'.repeat(10)}z`)
  t.ok(report.toString().isWellFormed(), report.toString())
  t.match(report.toString(), /^abc\n\[… 16 characters .*\]\n𝒳𝒳z$/s)
})
