import fc from 'fast-check'
import t from 'tap'
import { type TableTask, TaskTable } from '../../src/stores/task-table.ts'
import { STATUSES, type Status } from '../../src/task/lifecycle.ts'
import type { TaskQuery } from '../../src/task/store.ts'

const WORKERS = ['copy', 'sleep', 'mail']
const TAGS = Array.from({ length: 12 }, (_, i) => `tag-${i}`)
const PARENTS = ['p1', 'p2']

interface Row extends TableTask {
  status: Status
}

type Step =
  | { do: 'append'; worker: string; tags: string[]; parent: string | undefined; after: number }
  | { do: 'move'; which: number; status: Status }
  | { do: 'remove'; which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      worker: fc.constantFrom(...WORKERS),
      tags: fc.uniqueArray(fc.constantFrom(...TAGS), { maxLength: 4 }),
      parent: fc.option(fc.constantFrom(...PARENTS), { nil: undefined }),
      after: fc.nat(2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      which: fc.nat(),
      status: fc.constantFrom(...STATUSES),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat() }) },
)

const query = fc.record(
  {
    statuses: fc.uniqueArray(fc.constantFrom(...STATUSES), { minLength: 1, maxLength: 3 }),
    worker: fc.constantFrom(...WORKERS, 'nobody'),
    tag: fc.constantFrom(...TAGS, 'none'),
    parent: fc.constantFrom(...PARENTS, 'p3'),
    since: fc.nat(120),
    until: fc.nat(120),
  },
  { requiredKeys: [] },
)

/** The table's promise, as plainly as it can be said. */
function expected(rows: readonly Row[], q: Omit<TaskQuery, 'limit'>): string[] {
  return rows
    .filter(
      (row) =>
        (q.statuses === undefined || q.statuses.includes(row.status)) &&
        (q.worker === undefined || row.worker === q.worker) &&
        (q.tag === undefined || row.tags?.includes(q.tag) === true) &&
        (q.parent === undefined || row.parent === q.parent) &&
        (q.since === undefined || row.createdAt >= q.since) &&
        (q.until === undefined || row.createdAt < q.until),
    )
    .map(({ id }) => id)
    .reverse()
}

function allPages(table: TaskTable<Row>, q: Omit<TaskQuery, 'limit'>, limit: number): string[] {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = table.page({ ...q, limit, ...(cursor !== undefined && { cursor }) })
    ids.push(...page.tasks.map(({ id }) => id))
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return ids
}

function apply(table: TaskTable<Row>, rows: Row[], now: { at: number }, s: Step, id: number): void {
  if (s.do === 'append') {
    now.at += s.after
    const row: Row = {
      id: `task-${id}`,
      worker: s.worker,
      status: 'queued',
      input: null,
      attempt: 0,
      priority: 4,
      tags: s.tags,
      parent: s.parent,
      createdAt: now.at,
      row: -1,
    }
    table.append(row)
    rows.push(row)
    return
  }
  const row = rows[s.which % Math.max(1, rows.length)]
  if (row === undefined) return
  if (s.do === 'move') {
    const from = row.status
    row.status = s.status
    table.moved(row, from)
  } else {
    table.remove(row)
    rows.splice(rows.indexOf(row), 1)
  }
}

t.test(
  'pages, counts and look-ups are those of a plain list, whatever came and went',
  async (t) => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        query,
        fc.integer({ min: 1, max: 10 }),
        (steps, q, limit) => {
          const table = new TaskTable<Row>()
          const rows: Row[] = []
          const now = { at: 0 }
          for (const [i, s] of steps.entries()) apply(table, rows, now, s, i)
          t.same(allPages(table, q, limit), expected(rows, q))
          t.equal(table.size, rows.length)
          for (const worker of WORKERS) {
            for (const status of STATUSES) {
              const count = rows.filter(
                (row) => row.worker === worker && row.status === status,
              ).length
              if (table.count(worker, status) !== count)
                t.fail(`${worker} ${status}: ${table.count(worker, status)}`)
            }
          }
          for (let i = 0; i < steps.length; i++) {
            const id = `task-${i}`
            if (table.get(id) !== rows.find((row) => row.id === id)) t.fail(id)
          }
        },
      ),
      { numRuns: 300 },
    )
  },
)

t.test('growing and compacting lose nothing', async (t) => {
  const table = new TaskTable<Row>()
  let rows: Row[] = []
  const now = { at: 0 }
  let next = 0
  for (let wave = 0; wave < 6; wave++) {
    for (let i = 0; i < 5_000; i++)
      apply(
        table,
        rows,
        now,
        { do: 'append', worker: 'copy', tags: [], parent: undefined, after: 1 },
        next++,
      )
    const kept: Row[] = []
    for (const row of rows) {
      if (Number(row.id.slice(5)) % 7 === 0) kept.push(row)
      else table.remove(row)
    }
    rows = kept
    t.same(allPages(table, {}, 500), expected(rows, {}))
    for (const row of rows) if (table.get(row.id) !== row) t.fail(row.id)
    t.equal(table.get(`task-${next}`), undefined)
  }
})

t.test('a page that was begun goes on where it was while tasks come and go', async (t) => {
  const table = new TaskTable<Row>()
  const rows: Row[] = []
  const now = { at: 0 }
  const append = (i: number) =>
    apply(
      table,
      rows,
      now,
      { do: 'append', worker: 'copy', tags: [], parent: undefined, after: 1 },
      i,
    )
  for (let i = 0; i < 10; i++) append(i)
  const first = table.page({ limit: 4 })
  t.same(
    first.tasks.map(({ id }) => id),
    ['task-9', 'task-8', 'task-7', 'task-6'],
  )
  for (let i = 10; i < 15; i++) append(i)
  const at6 = rows[6]
  if (at6 !== undefined) table.remove(at6)
  const second = table.page({ limit: 4, cursor: first.nextCursor ?? '' })
  t.same(
    second.tasks.map(({ id }) => id),
    ['task-5', 'task-4', 'task-3', 'task-2'],
  )
})

t.test('a cursor that no page gave is refused', async (t) => {
  const table = new TaskTable<Row>()
  for (const cursor of [
    '',
    'x',
    'bTo',
    Buffer.from('m:').toString('base64url'),
    Buffer.from('m:-1').toString('base64url'),
    '💥',
    'A'.repeat(10_000),
  ]) {
    t.throws(
      () => table.page({ limit: 1, cursor }),
      { code: 'invalid-cursor' },
      cursor.slice(0, 20),
    )
  }
})
