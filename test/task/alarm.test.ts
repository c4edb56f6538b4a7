import { mock } from 'node:test'
import t from 'tap'
import { Alarm } from '../../src/task/alarm.ts'

t.test('an alarm rings at its time, once, however far away it is', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  t.teardown(() => mock.timers.reset())
  let rings = 0
  const alarm = new Alarm(() => rings++)
  const start = Date.now()
  const far = 40 * 86_400_000
  alarm.set(start + far)
  mock.timers.tick(far - 1)
  t.equal(rings, 0)
  mock.timers.tick(1)
  t.equal(rings, 1)
  mock.timers.tick(far)
  t.equal(rings, 1)
})

t.test('setting it again replaces the time, clearing it takes it away', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  t.teardown(() => mock.timers.reset())
  let rings = 0
  const alarm = new Alarm(() => rings++)
  const start = Date.now()
  alarm.set(start + 100)
  alarm.set(start + 50)
  mock.timers.tick(60)
  t.equal(rings, 1)
  alarm.set(start + 70)
  alarm.clear()
  alarm.set(Number.POSITIVE_INFINITY)
  mock.timers.tick(1_000)
  t.equal(rings, 1)
})
