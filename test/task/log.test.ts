import t from 'tap'
import { LOG_BOUNDS, TaskLog } from '../../src/task/log.ts'

t.test('the latest lines are kept, and their numbers tell what was dropped', async (t) => {
  const log = new TaskLog()
  for (let i = 0; i < LOG_BOUNDS.lines + 10; i++) log.append(i, 'info', `line ${i}`)
  t.equal(log.entries.length, LOG_BOUNDS.lines)
  t.match(log.entries[0], { index: 10, message: 'line 10', level: 'info', at: 10 })
  t.match(log.entries.at(-1), { index: LOG_BOUNDS.lines + 9 })
})

t.test('long lines are cut, and many long lines are bounded together', async (t) => {
  const log = new TaskLog()
  for (let i = 0; i < 100; i++) log.append(0, 'warn', 'x'.repeat(100_000))
  const characters = log.entries.reduce((sum, { message }) => sum + message.length, 0)
  t.ok(characters <= LOG_BOUNDS.characters)
  t.equal(log.entries[0]?.message.length, LOG_BOUNDS.line)
  t.ok(log.entries.length >= LOG_BOUNDS.characters / LOG_BOUNDS.line - 1)
})
