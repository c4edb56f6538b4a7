import fc from 'fast-check'
import t from 'tap'
import { backoff } from '../../src/engine/backoff.ts'

const policy = { retries: 9, delayMs: 100, factor: 2, maxDelayMs: 1_000, jitter: 0.5 }

t.test('the wait grows by its factor up to its cap', async (t) => {
  const waits = [1, 2, 3, 4, 5, 50].map((attempt) => backoff({ ...policy, jitter: 0 }, attempt))
  t.same(waits, [100, 200, 400, 800, 1_000, 1_000])
})

t.test('jitter takes away at most its share, and is spread over it', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (attempt, random) => {
        const full = backoff({ ...policy, jitter: 0 }, attempt)
        const wait = backoff(policy, attempt, random)
        return wait <= full && wait >= full / 2
      },
    ),
  )
  t.equal(backoff(policy, 1, 1), 50)
  t.equal(backoff({ ...policy, jitter: 1 }, 1, 1), 0)
})

t.test('no factor overflows', async (t) => {
  t.equal(backoff({ ...policy, factor: 100, jitter: 0 }, 1_000), 1_000)
  t.equal(backoff({ ...policy, delayMs: 0, factor: 100 }, 1_000), 0)
})
