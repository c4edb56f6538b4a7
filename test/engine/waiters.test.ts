import t from 'tap'
import { Waiters } from '../../src/engine/waiters.ts'
import type { Task } from '../../src/task/task.ts'

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

t.test('all who wait for a task are told once, and nobody else', async (t) => {
  const waiters = new Waiters()
  const told: string[] = []
  const [a, b, c, other] = ['a', 'b', 'c', 'other'].map((name) => () => void told.push(name))
  if (a === undefined || b === undefined || c === undefined || other === undefined)
    throw new Error()
  for (const waiter of [a, b, c]) waiters.add('one', waiter)
  waiters.add('two', other)
  t.same(waiters.ids(), ['one', 'two'])
  waiters.remove('one', b)
  waiters.remove('one', other)
  waiters.settled(task('one'))
  waiters.settled(task('one'))
  t.same(told, ['a', 'c'])
  waiters.remove('two', other)
  waiters.remove('two', other)
  waiters.settled(task('two'))
  t.same(told, ['a', 'c'])
  t.same(waiters.ids(), [])
})

t.test('who is removed one by one leaves nothing behind', async (t) => {
  const waiters = new Waiters()
  const all = Array.from({ length: 5 }, () => () => {})
  for (const waiter of all) waiters.add('one', waiter)
  for (const waiter of all) waiters.remove('one', waiter)
  t.same(waiters.ids(), [])
})
