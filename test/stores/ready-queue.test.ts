import fc from 'fast-check'
import t from 'tap'
import { ReadyQueue } from '../../src/stores/ready-queue.ts'

interface Item {
  id: number
  priority: number
  isReady: boolean
}

const step = fc.oneof(
  fc.record({ do: fc.constant('push' as const), priority: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ do: fc.constant('shift' as const) }),
  fc.record({ do: fc.constant('discard' as const), which: fc.nat() }),
)

t.test('highest priority first, then first come first served, the discarded never', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new ReadyQueue<Item>((item) => item.isReady)
      const model: Item[] = []
      for (const [id, s] of steps.entries()) {
        if (s.do === 'push') {
          const item = { id, priority: s.priority, isReady: true }
          queue.push(item, item.priority)
          model.push(item)
        } else if (s.do === 'shift') {
          const best = [...model].sort((a, b) => b.priority - a.priority || a.id - b.id)[0]
          if (best !== undefined) model.splice(model.indexOf(best), 1)
          t.equal(queue.shift(), best)
        } else if (model.length > 0) {
          const [item] = model.splice(s.which % model.length, 1)
          if (item !== undefined) item.isReady = false
          queue.discard()
        }
        if (queue.size !== model.length) t.fail(`size ${queue.size}, not ${model.length}`)
      }
    }),
    { numRuns: 300 },
  )
})

t.test('what is discarded is let go of, though nothing is ever taken', async (t) => {
  const alive = new Set<Item>()
  const queue = new ReadyQueue<Item>((item) => {
    alive.add(item)
    return item.isReady
  })
  for (let i = 0; i < 10_000; i++) {
    const item = { id: i, priority: 4, isReady: true }
    queue.push(item, 4)
    item.isReady = false
    queue.discard()
  }
  alive.clear()
  const last = { id: -1, priority: 4, isReady: true }
  queue.push(last, 4)
  t.equal(queue.shift(), last)
  t.ok(alive.size < 3_000, `${alive.size} stale items were still held`)
})
