import t from 'tap'
import { type Waiter, Waiters } from '../../src/engine/waiters.ts'
import type { Task } from '../../src/task/task.ts'

const LONG = 60_000

function task(id: string): Task {
  return {
    id,
    worker: 'w',
    status: 'completed',
    input: null,
    attempt: 1,
    priority: 4,
    createdAt: 0,
  }
}

/** What has come of those who wait: the id of the task each was told of. */
async function told(waiters: readonly Waiter[]): Promise<(string | undefined)[]> {
  const pending = Promise.resolve(task('pending'))
  const settled = await Promise.all(
    waiters.map((waiter) => Promise.race([waiter.settled, pending])),
  )
  return settled.map((settledTask) => settledTask?.id)
}

t.test('all who wait for a task are told, and nobody else', async (t) => {
  const waiters = new Waiters()
  const [a, b, c] = [1, 2, 3].map(() => waiters.add('one', LONG)) as [Waiter, Waiter, Waiter]
  const other = waiters.add('two', LONG)
  t.same(waiters.ids(), ['one', 'two'])
  waiters.remove(b)
  waiters.settled(task('one'))
  waiters.settled(task('one'))
  t.same(await told([a, b, c, other]), ['one', 'pending', 'one', 'pending'])
  for (const waiter of [a, b, c, other, other]) waiters.remove(waiter)
  waiters.settled(task('two'))
  t.same(await told([other]), ['pending'])
  t.same(waiters.ids(), [])
})

t.test('who is removed one by one leaves nothing behind', async (t) => {
  const waiters = new Waiters()
  const all = Array.from({ length: 5 }, () => waiters.add('one', LONG))
  for (const waiter of all) {
    t.same(waiters.ids(), ['one'])
    waiters.remove(waiter)
  }
  t.same(waiters.ids(), [])
})

t.test('a wait is over at its time, and at its signal, before or after it began', async (t) => {
  const waiters = new Waiters()
  const late = waiters.add('one', 1)
  t.equal(await late.settled, undefined)
  const controller = new AbortController()
  const gone = waiters.add('one', LONG, controller.signal)
  controller.abort()
  const goneBefore = waiters.add('one', LONG, controller.signal)
  t.same(await Promise.all([gone.settled, goneBefore.settled]), [undefined, undefined])
  for (const waiter of [late, gone, goneBefore]) waiters.remove(waiter)
  t.same(waiters.ids(), [])
})

t.test('thousands wait for one task and leave it at a constant price', async (t) => {
  const waiters = new Waiters()
  const began = performance.now()
  const all = Array.from({ length: 50_000 }, () => waiters.add('one', LONG))
  for (const waiter of all) waiters.remove(waiter)
  t.ok(performance.now() - began < 5_000, `took ${performance.now() - began} ms`)
})
