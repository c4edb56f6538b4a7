import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { loadWorkers, resolveErrand } from '../../src/engine/load-workers.ts'
import { Registry } from '../../src/engine/registry.ts'
import { makeApp } from '../app.ts'
import { until } from '../until.ts'
import { blocks, pages, root } from './markdown.ts'
import { readmeHello } from './readme-hello.ts'

const run = promisify(execFile)

/** The modules that the pages write, by page and line. */
const modules = pages().flatMap((page) =>
  blocks(page)
    .filter(({ lang, text }) => lang === 'ts' && /^(?:import|export) /m.test(text))
    .map(({ text, line }) => ({ name: `${page}:${line}`, text })),
)
const workers = modules.filter(({ text }) => /^export default (?:defineWorker\(|\{)/m.test(text))
/** Those that use Errand as a package. */
const applications = modules.filter(
  (module) => !workers.includes(module) && /from 'errand'/.test(module.text),
)

t.ok(workers.length > 5, 'the pages write workers')

for (const { name, text } of workers) {
  t.test(`${name}: the worker loads, and performs its example`, async (t) => {
    const folder = t.testdir({ 'worker.ts': text })
    const registry = new Registry()
    await loadWorkers(registry, folder)
    const [worker] = registry.list()
    if (worker?.example === undefined) return t.fail('it has no example')
    const app = await makeApp(t, { workers: [folder] })
    const { task } = await app.errand.submit(worker.name, worker.example)
    if (worker.definition.respond !== undefined) {
      await until(async () => (await app.errand.get(task.id)).status === 'waiting')
      await app.errand.respond(task.id, true, 'ada')
    }
    const settled = await app.errand.wait(task.id, 30_000)
    return t.match(settled, { status: 'completed', error: undefined })
  })
}

t.test('README.md: hello greets by the name it is given', async (t) => {
  const app = await makeApp(t, { workers: [t.testdir({ 'hello.ts': readmeHello() })] })
  const response = await app.inject({
    method: 'POST',
    url: '/workers/hello?wait=5',
    payload: { name: 'Grace' },
  })
  t.equal(response.statusCode, 200)
  const { id, output } = response.json<{ id: string; output: unknown }>()
  t.same(output, { greeting: 'Hello, Grace!' })
  t.match(await app.errand.logs(id), [{ level: 'info', message: 'greeting Grace' }])
})

for (const [i, { name, text }] of applications.entries()) {
  t.test(`${name}: the application serves hello`, async (t) => {
    resolveErrand()
    // On a free port, quietly, and in the hands of the test, which closes it.
    const program = text
      .replace(/port: \d+/, 'port: 0')
      .replace('createApp({', "createApp({ logLevel: 'silent', graceMs: 0,")
      .replace(/^console\.log/m, 'String')
    const folder = t.testdir({
      'my-workers': { 'hello.ts': readmeHello() },
      [`application-${i}.ts`]: `${program}\nexport { app }\n`,
    })
    const module = pathToFileURL(join(folder, `application-${i}.ts`)).href
    const { app }: { app: FastifyInstance } = await import(module)
    t.teardown(() => app.close())
    const prefix = /prefix: '([^']*)'/.exec(text)?.[1] ?? ''
    const response = await app.inject({
      method: 'POST',
      url: `${prefix}/workers/hello?wait=5`,
      payload: { name: 'Grace' },
    })
    t.same(response.json().output, { greeting: 'Hello, Grace!' })
  })
}

t.test('every module that a page writes is accepted by the compiler', async (t) => {
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { paths: { errand: [join(root, 'src/index.ts')] } },
    include: ['**/*.ts'],
  }
  const folder = t.testdir({
    'tsconfig.json': JSON.stringify(config),
    'my-workers': { 'hello.ts': readmeHello() },
    ...Object.fromEntries(modules.map(({ text }, i) => [`module-${i}.ts`, text])),
  })
  t.equal(await compile(folder), '')
})

/** What the compiler has against the modules of a folder; empty where it accepts them. */
async function compile(folder: string): Promise<string> {
  const tsc = join(root, 'node_modules/.bin/tsc')
  // The loader that tap would have every Node process use cannot load the compiler's launcher.
  const quiet = ['-u', 'NODE_OPTIONS', tsc, '-p', folder, '--pretty', 'false']
  const faults = await run('env', quiet, { cwd: root }).then(
    () => '',
    ({ stdout, message }: { stdout?: string; message: string }) => stdout || message,
  )
  return faults.replace(/\S*module-(\d+)\.ts/g, (file, i) => modules[Number(i)]?.name ?? file)
}
