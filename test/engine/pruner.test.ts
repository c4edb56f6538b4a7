import { mock } from 'node:test'
import t from 'tap'
import { Pruner } from '../../src/engine/pruner.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { ManualPerformer, newTask, statusOf } from '../stores/conformance.ts'
import { KeptLog } from './fixture.ts'

t.test('tasks that are too old are forgotten on a timer', async (t) => {
  const store = new MemoryStore()
  const performer = new ManualPerformer()
  store.consume('w', 1, performer)
  const [inserted] = await store.insert([newTask()], { maxQueued: 10, onLimit: 'queue' })
  const id = inserted?.task.id ?? ''
  await performer.next()
  performer.end(id)
  await statusOf(store, id, 'completed')
  mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.now() })
  t.teardown(() => mock.timers.reset())
  const pruner = new Pruner(store, { maxAgeMs: 60_000, maxFinished: 10 }, new KeptLog())
  pruner.start()
  mock.timers.tick(54_000)
  await new Promise((resolve) => setImmediate(resolve))
  t.match(await store.get(id), { status: 'completed' })
  mock.timers.tick(12_000)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(await store.get(id), undefined)
  await pruner.stop()
  await pruner.stop()
})

t.test('a store that fails is reported, and asked again', async (t) => {
  const log = new KeptLog()
  let asked = 0
  const broken = new MemoryStore()
  broken.prune = async () => {
    asked++
    throw new Error('no disk')
  }
  const pruner = new Pruner(broken, { maxAgeMs: 1_000, maxFinished: 1 }, log)
  pruner.finished()
  await new Promise((resolve) => setImmediate(resolve))
  pruner.finished()
  await pruner.stop()
  t.equal(asked, 2)
  t.match(log.lines, [/could not be pruned/, /could not be pruned/])
})
