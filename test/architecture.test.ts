import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..')

/**
 * The storeys of the house, and which of them each may import. Arrows run down only; `src/app.ts` is the one
 * place where concrete parts meet.
 */
const STOREYS: { readonly [storey: string]: readonly string[] } = {
  task: [],
  engine: ['task'],
  stores: ['task'],
  workers: ['task'],
  callbacks: ['task'],
  commands: ['workers', 'task'],
  config: ['task'],
  routes: ['engine', 'task'],
  app: ['callbacks', 'commands', 'routes', 'stores', 'engine', 'config', 'version', 'task'],
  version: [],
  index: ['app', 'engine', 'task'],
  server: ['app', 'config', 'task'],
  'openapi-yaml': ['app'],
  bin: ['cli'],
  cli: ['server', 'openapi-yaml', 'config', 'version', 'task'],
}

/** The engine may know what a package exports of it only to have `import 'errand'` lead there, by its URL. */
function storeyOf(file: string): string {
  const [top = '', second = ''] = file.split('/')
  if (top !== 'src') return top
  return second.replace(/\.ts$/, '')
}

function importsOf(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8')
  const found = source.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"]*?from\s*['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]/g,
  )
  return [...found].map((match) =>
    relative(root, join(root, dirname(file), match[1] ?? match[2] ?? '')),
  )
}

const files = globSync(['src/**/*.ts', 'routes/**/*.ts', 'workers/**/*.ts'], { cwd: root })

t.test('imports run down only', async (t) => {
  t.ok(files.length > 30, 'the sources are found')
  let arrows = 0
  for (const file of files) {
    const from = storeyOf(file)
    const allowed = STOREYS[from]
    t.ok(allowed !== undefined, `${file} stands in a known storey`)
    for (const imported of importsOf(file)) {
      const to = storeyOf(imported)
      arrows++
      if (to !== from && !allowed?.includes(to)) t.fail(`${file} may not import ${imported}`)
    }
  }
  t.ok(arrows > 80, `${arrows} imports were read`)
})

t.test('what runs everywhere knows no framework', async (t) => {
  for (const file of files.filter((name) => /^src\/(task|engine|stores)\//.test(name))) {
    t.notMatch(readFileSync(join(root, file), 'utf8'), /from '(?:@?fastify|node:http)/, file)
  }
})
