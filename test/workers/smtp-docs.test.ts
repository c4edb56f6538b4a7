import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import smtp from '../../workers/smtp.ts'
import { blocks, read, table } from '../docs/markdown.ts'
import { Transcript } from '../docs/transcript.ts'
import { ServerProcess } from '../server-process.ts'
import { makeKeys, PASSWORD, reply, startServer } from './smtp/server.ts'

const run = promisify(execFile)
const page = 'docs/workers/smtp.md'

t.test('what its curl commands answer is what the page shows', async (t) => {
  const keys = makeKeys(t)
  const { port } = await startServer(t, {
    ...keys,
    onAuth({ username, password }, _session, callback) {
      callback(null, username === 'errand' && password === PASSWORD ? { user: username } : {})
    },
    onRcptTo({ address }, _session, callback) {
      callback(address.startsWith('gone') ? reply(550, '5.1.1 No such user') : null)
    },
  })
  const trust = t.testdir({ 'cert.pem': keys.cert })
  const env = { NODE_EXTRA_CA_CERTS: `${trust}/cert.pem` }
  const server = await ServerProcess.start(t, [], { env })
  const transcript = new Transcript()
  const all = blocks(page)
  const commands = all.filter(({ lang }) => lang === 'sh')
  t.equal(commands.length, 2)
  for (const command of commands) {
    const shown = all[all.indexOf(command) + 1]
    const script = command.text
      .replace('localhost:8888', new URL(server.url).host)
      .replace(/,\s*"smtp_port": \d+/, '')
      .replace('"smtp_host": "mail.example.com"', `"smtp_host": "localhost", "smtp_port": ${port}`)
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { timeout: 60_000 })
    t.same(transcript.compare('json', shown?.text ?? '', stdout), [], `${page}:${command.line}`)
  }
})

t.test('its tables name every field, with type and default', async (t) => {
  const { input, output } = smtp.details
  const required = input?.required as readonly string[]
  const rows = table(page, 'field', 'type', 'default', 'meaning')
  t.same(
    rows.map(([field, , fallback]) => [field, fallback]),
    Object.entries(input?.properties ?? {}).map(([field, schema]) => [
      field,
      fallbackOf(schema, required.includes(field)),
    ]),
  )
  t.same(
    table(page, 'field', 'type', 'meaning').map(([field]) => field),
    Object.keys(output?.properties ?? {}),
  )
})

t.test('its table names every error', async (t) => {
  const named = table(page, 'code', 'again?', 'when').flatMap(([codes = '']) =>
    codes.match(/[a-z-]+/g),
  )
  const files = ['', '/addresses', '/delivery', '/message', '/refusal', '/trust']
  const source = files.map((file) => read(`workers/smtp${file}.ts`)).join('\n')
  const thrown = [...source.matchAll(/(?:new TaskError\(\s*|code: )'([a-z-]+)'/g)].map(
    ([, code]) => code,
  )
  t.ok(thrown.length > 10, 'the codes are found')
  t.same(
    thrown.filter((code) => !named.includes(code ?? '')),
    [],
  )
  t.equal(new Set(named).size, named.length, 'each once')
})

function fallbackOf(schema: object, isRequired: boolean): string {
  if ('default' in schema) return String(schema.default)
  return isRequired ? 'required' : 'none'
}
