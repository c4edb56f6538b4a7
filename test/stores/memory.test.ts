import t from 'tap'
import { MemoryStore } from '../../src/stores/memory.ts'
import { conformance, newTask } from './conformance.ts'

conformance(t, async () => new MemoryStore())

t.test('a clock that goes back starts no delayed task early', async (t) => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const limits = { maxQueued: 10, onLimit: 'queue' } as const
  const realNow = Date.now
  t.teardown(() => {
    Date.now = realNow
  })
  await store.insert([newTask()], limits)
  const anHourBack = realNow() - 3_600_000
  Date.now = () => anHourBack
  const [delayed] = await store.insert([newTask({ runAt: anHourBack + 1_000 })], limits)
  t.equal(delayed?.task.status, 'scheduled')
})
