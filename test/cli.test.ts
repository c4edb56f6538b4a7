import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { SETTINGS } from '../src/config.ts'
import { cli, type ProcessOptions, root, run, ServerProcess } from './server-process.ts'

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

function errand(args: readonly string[], options?: ProcessOptions) {
  return run(process.execPath, [cli, ...args], options)
}

/** A start that is refused: one line that says why, and no stack. */
function oneLine(stderr: string): string {
  const lines = stderr.trimEnd().split('\n')
  return lines.length === 1 ? (lines[0] ?? '') : `${lines.length} lines:\n${stderr}`
}

t.test('--version', async (t) => {
  t.same(await errand(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('--help lists the commands, and that of serve every setting', async (t) => {
  const general = await errand(['--help'])
  t.equal(general.code, 0)
  t.match(general.stdout, /^Usage: errand/)
  for (const command of ['serve', 'openapi'])
    t.match(general.stdout, new RegExp(`^ +${command}`, 'm'))
  const serve = await errand(['serve', '--help'])
  t.equal(serve.code, 0)
  const text = serve.stdout.replace(/\s+/g, ' ')
  for (const { flag, variable, fallback } of Object.values(SETTINGS)) {
    t.match(text, `--${flag} `)
    t.match(text, fallback ? `${variable}; ${fallback}` : variable)
  }
})

t.test('without a command it says what there is', async (t) => {
  const { code, stdout, stderr } = await errand([])
  t.not(code, 0)
  t.match(stdout + stderr, /Usage: errand[\s\S]*serve/)
})

t.test('an unknown flag or command is refused, and the nearest is named', async (t) => {
  const flag = await errand(['serve', '--prot', '0'])
  t.equal(flag.code, 1)
  t.match(flag.stderr, /--prot[\s\S]*Did you mean --port\?/)
  const command = await errand(['serv'])
  t.equal(command.code, 1)
  t.match(command.stderr, /'serv'[\s\S]*Did you mean serve\?/)
  const argument = await errand(['serve', 'now'])
  t.equal(argument.code, 1, 'nor are arguments ignored')
  t.match(argument.stderr, /too many arguments/)
})

t.test('a wrong setting stops the start with one line', async (t) => {
  const variable = await errand(['serve'], { env: { ERRAND_PROT: '1' } })
  t.equal(variable.code, 1)
  t.match(oneLine(variable.stderr), /^errand: .*ERRAND_PROT.*Did you mean ERRAND_PORT\?$/)
  const flag = await errand(['serve', '--port', 'http'])
  t.equal(flag.code, 1)
  t.match(oneLine(flag.stderr), /^errand: --port must be a whole number from 0 to 65535\.$/)
  const open = await errand(['serve', '--host', '0.0.0.0', '--port', '0'])
  t.equal(open.code, 1)
  t.match(oneLine(open.stderr), /^errand: .*ERRAND_API_KEY.*ERRAND_AUTH=none/)
})

t.test('flags go before variables, and secrets are no settings', async (t) => {
  const env = { ERRAND_PORT: 'wrong', ERRAND_SECRET_MAIL: 'x', ERRAND_API_KEY: 'a-key-of-the-test' }
  const server = await ServerProcess.start(t, ['--port', '0'], { env })
  t.equal((await server.request('/workers')).status, 401)
  const headers = { authorization: 'Bearer a-key-of-the-test' }
  t.equal((await server.request('/workers', { headers })).status, 200)
})

t.test('an address in use says so in one line', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as AddressInfo
  const { code, stderr } = await errand(['serve', '--log-level', 'silent', '--port', String(port)])
  t.equal(code, 1)
  t.match(oneLine(stderr), /^errand: .*in use/)
  t.match(stderr, `127.0.0.1:${port}`)
})

t.test('an address that is not of this machine says so in one line', async (t) => {
  // Of the block that is kept for documentation (RFC 5737): no machine has it.
  const args = ['serve', '--log-level', 'silent', '--host', '192.0.2.1', '--auth', 'none']
  const { code, stderr } = await errand(args)
  t.equal(code, 1)
  t.match(oneLine(stderr), /^errand: .*192\.0\.2\.1/)
})

t.test('a malformed worker stops the start, with its file and its fault', async (t) => {
  const folder = t.testdir({ 'broken.ts': 'export default { name: "Broken Name", details: {} }' })
  const { code, stdout, stderr } = await errand(['serve', '--port', '0', '--workers', folder])
  t.equal(code, 1)
  t.match(oneLine(stderr), `errand: ${join(folder, 'broken.ts')}: name must match`)
  t.notMatch(stdout, /Health/, 'it did not serve')
})

t.test('a module in a CommonJS package stops the start, with what to do', async (t) => {
  for (const [file, source, name] of [
    ['one.ts', "import 'node:fs'\nexport default {}", '.mts'],
    ['two.js', 'export default {}', '.mjs'],
  ] as const) {
    const folder = t.testdir({ 'package.json': '{ "type": "commonjs" }', [file]: source })
    const { code, stderr } = await errand(['serve', '--port', '0', '--workers', folder])
    t.equal(code, 1)
    t.match(stderr, `errand: ${join(folder, file)}:1:1 cannot be loaded: `)
    t.match(
      stderr,
      `${join(folder, 'package.json')} says that such files are CommonJS: set "type": "module" there, or name the file ${name}.`,
    )
  }
})

t.test('a folder without a worker is remarked on', async (t) => {
  const folder = t.testdir({ 'README.md': '# Workers', lib: { 'helper.ts': 'export {}' } })
  const server = await ServerProcess.start(t, ['--workers', folder])
  const [line] = await server.printed(/^.*no \.ts, \.mts, \.js or \.mjs file.*$/m)
  t.match(JSON.parse(line), { level: 40, folder })
})

t.test('a folder of workers that is not there stops the start', async (t) => {
  const { code, stderr } = await errand(['serve', '--port', '0', '--workers', '/no/such/folder'])
  t.equal(code, 1)
  t.match(
    oneLine(stderr),
    /^errand: .*ERRAND_WORKERS.* \/no\/such\/folder, which does not exist\.$/,
  )
})

t.test('openapi writes the document, to standard output or a file', async (t) => {
  const printed = await errand(['openapi'])
  t.equal(printed.code, 0)
  t.match(parse(printed.stdout), { openapi: '3.1.0', info: { title: 'Errand', version } })
  const file = join(t.testdir(), 'openapi.yaml')
  t.match(await errand(['openapi', '--out', file]), { code: 0, stdout: '' })
  t.equal(readFileSync(file, 'utf8'), printed.stdout)
})
