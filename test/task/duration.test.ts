import t from 'tap'
import { parseDuration } from '../../src/task/duration.ts'

t.test('a duration is read in its unit, milliseconds where it has none', async (t) => {
  const known = {
    '0': 0,
    '1500': 1_500,
    '1500ms': 1_500,
    '90s': 90_000,
    '1.5s': 1_500,
    '5m': 300_000,
    '24h': 86_400_000,
    '7d': 604_800_000,
  }
  for (const [text, ms] of Object.entries(known)) t.equal(parseDuration(text), ms, text)
})

t.test('anything else is no duration', async (t) => {
  for (const text of [
    '',
    ' 1s',
    '1 s',
    '-1',
    '1e3',
    '1w',
    's',
    '1s1',
    'Infinity',
    '.5s',
    '9'.repeat(16),
  ]) {
    t.equal(parseDuration(text), undefined, text)
  }
})
