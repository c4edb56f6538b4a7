import t from 'tap'
import { EDGES, holdsSlot, INITIAL, isTerminal, route, STATUSES } from '../../src/task/lifecycle.ts'

t.test('nothing leaves a terminal status, and everything else can reach one', async (t) => {
  for (const status of STATUSES) {
    t.equal(isTerminal(status), EDGES[status].length === 0, status)
    const reached = new Set([status])
    for (const from of reached) for (const to of EDGES[from]) reached.add(to)
    t.ok([...reached].some(isTerminal), `${status} ends`)
  }
})

t.test('every status can be reached from a new task', async (t) => {
  const reached = new Set(INITIAL)
  for (const from of reached) for (const to of EDGES[from]) reached.add(to)
  t.same([...reached].sort(), [...STATUSES].sort())
})

t.test('a route takes edges of the table only', async (t) => {
  for (const from of STATUSES) {
    for (const to of STATUSES) {
      let at = from
      for (const step of route(from, to)) {
        t.ok(EDGES[at].includes(step), `${at} → ${step}`)
        at = step
      }
      if (EDGES[from].includes(to)) t.same(route(from, to), [to])
    }
  }
  t.same(route('running', 'canceled'), ['canceling', 'canceled'])
  t.same(route('paused', 'completed'), ['running', 'completed'])
  t.same(route('completed', 'running'), [])
})

t.test('a slot is held from the start of an attempt until its worker has let go', async (t) => {
  t.same(STATUSES.filter(holdsSlot), ['running', 'paused', 'canceling'])
})
