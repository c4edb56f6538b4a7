import t from 'tap'
import { newId } from '../../src/task/id.ts'

t.test('ids have the form of nanoid, use all of its alphabet, and do not meet', async (t) => {
  const ids = new Set(Array.from({ length: 20_000 }, newId))
  t.equal(ids.size, 20_000)
  for (const id of ids) if (!/^[A-Za-z0-9_-]{21}$/.test(id)) t.fail(id)
  const letters = new Map<string, number>()
  for (const id of ids) for (const letter of id) letters.set(letter, (letters.get(letter) ?? 0) + 1)
  t.equal(letters.size, 64)
  const expected = (20_000 * 21) / 64
  for (const [letter, count] of letters) {
    // Twelve standard deviations: a letter drawn half as often, or twice, is far outside.
    t.ok(Math.abs(count - expected) < 12 * Math.sqrt(expected), `${letter}: ${count}`)
  }
})
