import { mock } from 'node:test'
import t from 'tap'
import { DueQueue } from '../../src/stores/due-queue.ts'

function withClock(t: { teardown(fn: () => void): void }): void {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  t.teardown(() => mock.timers.reset())
}

t.test('items come due in the order of their times', async (t) => {
  withClock(t)
  const due: string[] = []
  const queue = new DueQueue<string>(
    (item) => due.push(item),
    () => true,
  )
  queue.add(1_000_300, 'c')
  queue.add(1_000_100, 'a')
  queue.add(1_000_200, 'b')
  mock.timers.tick(150)
  t.same(due, ['a'])
  mock.timers.tick(500)
  t.same(due, ['a', 'b', 'c'])
  queue.add(1_000_000, 'past')
  mock.timers.tick(1)
  t.same(due.at(-1), 'past')
  queue.add(1_001_000, 'never')
  queue.close()
  queue.close()
  mock.timers.tick(5_000)
  t.same(due.at(-1), 'past')
})

t.test('what is not pending any more is swept, long before its time', async (t) => {
  withClock(t)
  let asked = 0
  const pending = new Set<number>()
  const queue = new DueQueue<number>(
    () => {},
    (item) => {
      asked++
      return pending.has(item)
    },
  )
  for (let i = 0; i < 100_000; i++) {
    pending.add(i)
    queue.add(2_000_000_000 + i, i)
    pending.delete(i)
  }
  t.ok(asked >= 90_000, 'each was looked at in some sweep')
  t.ok(asked < 400_000, 'sweeping costs no more than adding')
  queue.close()
})
