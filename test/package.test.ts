import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { root, run, ServerProcess } from './server-process.ts'

t.setTimeout(120_000)

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const WORKER = `
import { defineWorker, Type } from 'errand'
export default defineWorker({
  name: 'shout',
  details: {
    description: 'Shouts',
    input: Type.Object({ text: Type.String() }),
    output: Type.String(),
    example: { text: 'hello' },
  },
  isolate: 'thread',
  perform: ({ text }: { text: string }): string => text.toUpperCase(),
})`

const EMBEDDED = `
import { createApp, defineWorker, Type } from 'errand'
const double = defineWorker({
  name: 'double',
  details: { description: 'Doubles', input: Type.Object({ n: Type.Integer() }), output: Type.Integer() },
  perform: ({ n }) => n * 2,
})
const app = await createApp({ workers: [double], builtins: false, logLevel: 'silent' })
const { body } = await app.inject({ method: 'POST', url: '/workers/double?wait=10', payload: { n: 21 } })
await app.close()
console.log(body)
`

const TYPED = `
import { createApp, defineWorker, type TaskContext, Type } from 'errand'
export const double = defineWorker({
  name: 'double',
  details: { description: 'Doubles', input: Type.Object({ n: Type.Integer() }), output: Type.Integer() },
  perform: ({ n }, task: TaskContext) => n * task.attempt,
})
const app = await createApp({ workers: [double] })
const { task } = await app.errand.submit('double', { n: 21 })
export const status: 'queued' | 'scheduled' | string = task.status
`

const CONFIG = {
  compilerOptions: {
    target: 'esnext',
    module: 'nodenext',
    lib: ['esnext', 'dom'],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  },
}

/** An empty folder into which the packed package was installed, as anybody would. */
async function install(t: Test): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'errand-package-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const packed = await run('npm', ['pack', '--pack-destination', folder], { withinMs: 60_000 })
  if (packed.code !== 0) throw new Error(`npm pack failed:\n${packed.stdout}\n${packed.stderr}`)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', `errand-${version}.tgz`]
  const installed = await run('npm', args, { cwd: folder, withinMs: 60_000 })
  if (installed.code !== 0) throw new Error(`npm install failed:\n${installed.stderr}`)
  return folder
}

t.test('the package as it is installed', async (t) => {
  const folder = await install(t)
  const here = { cwd: folder }

  t.test('it holds what runs and its types, and nothing else', async (t) => {
    const files = globSync('**/*', { cwd: join(folder, 'node_modules/errand') })
    for (const file of [
      'package.json',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'openapi.yaml',
      'dist/src/bin.js',
      'dist/src/cli.js',
      'dist/src/index.js',
      'dist/src/index.d.ts',
      'dist/src/engine/thread.js',
      'dist/workers/sleeper.js',
    ]) {
      t.ok(files.includes(file), file)
    }
    const others = files.filter((file) =>
      /test|bench|examples|docs|(?<!\.d)\.ts$|\.map$/.test(file),
    )
    t.same(others, [])
    const dev = globSync('node_modules/{tap,typescript,playwright-core,node,@biomejs}', here)
    t.same(dev, [], 'what only its developers need is not installed')
  })

  t.test('npx errand', async (t) => {
    const printed = await run('npx', ['--no', '--', 'errand', '--version'], here)
    t.same({ code: printed.code, stdout: printed.stdout }, { code: 0, stdout: `${version}\n` })
  })

  t.test('embedded in a program of one’s own', async (t) => {
    const program = ['--input-type=module', '-e', EMBEDDED]
    const { code, stdout, stderr } = await run(process.execPath, program, here)
    t.equal(stderr, '')
    t.equal(code, 0)
    t.match(JSON.parse(stdout), { worker: 'double', status: 'completed', output: 42 })
  })

  t.test('a server with a folder of .ts workers, one of them in a thread', async (t) => {
    mkdirSync(join(folder, 'workers'))
    writeFileSync(join(folder, 'workers/shout.ts'), WORKER)
    const server = await ServerProcess.start(t, ['--workers', './workers'], {
      ...here,
      command: [join(folder, 'node_modules/.bin/errand'), 'serve'],
    })
    t.match(await server.submit('shout', { text: 'hello' }, '?wait=20'), {
      status: 200,
      body: { status: 'completed', output: 'HELLO' },
    })
    t.match(await server.submit('ifconfig', {}, '?wait=20'), {
      status: 200,
      body: { status: 'completed' },
    })
    t.equal((await server.request('/docs/')).status, 200, 'the documentation is served too')
    server.signal('SIGTERM')
    t.equal((await server.exit()).code, 0)
  })

  t.test('its types are those of the sources', async (t) => {
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...CONFIG, include: ['*.ts'] }))
    const compile = () => run(join(root, 'node_modules/.bin/tsc'), ['--pretty', 'false'], here)
    writeFileSync(join(folder, 'typed.ts'), TYPED)
    t.same(await compile(), { code: 0, stdout: '', stderr: '' })
    writeFileSync(join(folder, 'typed.ts'), TYPED.replace('n * task', 'n.length * task'))
    const wrong = await compile()
    t.not(wrong.code, 0)
    t.match(wrong.stdout, "Property 'length' does not exist on type 'number'")
  })
})
