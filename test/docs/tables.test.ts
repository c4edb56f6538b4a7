import t from 'tap'
import { SETTINGS, type Setting } from '../../src/config.ts'
import { CATALOGUE } from '../../src/task/errors.ts'
import { EDGES, INITIAL, isTerminal, STATUSES } from '../../src/task/lifecycle.ts'
import { blocks, table } from './markdown.ts'

/** Faults of a server's own making: they stop its start and never travel over HTTP. */
const NOT_ON_THE_WIRE = ['invalid-worker', 'invalid-config']

t.test('docs/task-lifecycle.md draws every edge of the lifecycle and no other', async (t) => {
  const page = 'docs/task-lifecycle.md'
  const drawing = blocks(page).find(({ lang }) => lang === 'mermaid')?.text ?? ''
  const [head, ...lines] = drawing.trim().split('\n')
  t.equal(head, 'stateDiagram-v2')
  const edges = [
    ...INITIAL.map((to) => `[*] --> ${to}`),
    ...STATUSES.flatMap((from) => EDGES[from].map((to) => `${from} --> ${to}`)),
    ...STATUSES.filter(isTerminal).map((from) => `${from} --> [*]`),
  ]
  t.same(lines.map((line) => line.trim()).sort(), edges.sort())
  t.same(
    table(page, 'status', 'means').map(([status]) => status),
    STATUSES,
    'and explains each status',
  )
})

t.test('docs/configuration.md lists the settings with their variables and defaults', async (t) => {
  const rows = table('docs/configuration.md', 'flag', 'variable', 'default', 'meaning')
  t.same(
    rows.map((row) => row.slice(0, 3)),
    Object.values<Setting<unknown>>(SETTINGS).map(({ flag, variable, fallback }) => [
      `--${flag}`,
      variable,
      fallback === undefined || fallback === '' ? 'none' : fallback,
    ]),
  )
  for (const [flag, , , meaning] of rows) t.ok(meaning, `${flag} has a meaning`)
})

t.test('docs/http-api.md lists every error that travels over HTTP', async (t) => {
  t.same(
    table('docs/http-api.md', 'code', 'status', 'when').map(([code, status]) => [code, status]),
    Object.entries(CATALOGUE)
      .filter(([code]) => !NOT_ON_THE_WIRE.includes(code))
      .map(([code, { status }]) => [code, String(status)]),
  )
})
