import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import worker from '../../workers/ssh.ts'
import { listen } from '../app.ts'
import { blocks, read, table } from '../docs/markdown.ts'
import { Transcript } from '../docs/transcript.ts'
import { startApp } from './perform.ts'
import { Sshd } from './ssh/sshd.ts'

const PAGE = 'docs/workers/ssh.md'
const { input, output } = worker.details

t.test('its curl command answers what the page shows', async (t) => {
  const sshd = await Sshd.start(t)
  if (sshd === undefined) return
  const address = new URL(await listen(await startApp(t))).host
  const [command, answer] = blocks(PAGE)
  const [, base64 = ''] = sshd.hostKeys[0]?.public.split(' ') ?? []
  // The page's host is nobody's; this is where it is, and how it lets this user in.
  const script = [
    ['localhost:8888', address],
    [/AAAAC3[\w+/]+/, base64],
    [/"web-1\.example\.com"/, '"127.0.0.1"'],
    [/"port": 22/, `"port": ${sshd.port}`],
    [/"deploy"/, JSON.stringify(sshd.login)],
    [/"password": "[^"]*"/, `"key": ${JSON.stringify(sshd.key.private)}`],
  ].reduce(
    (text, [shown = '', real = '']) => text.replace(shown, String(real)),
    command?.text ?? '',
  )
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script])
  t.equal(command?.lang, 'sh')
  t.same(new Transcript().compare(answer?.lang ?? '', answer?.text ?? '', stdout), [])
})

t.test('its tables have every field, with its type and its default', async (t) => {
  const required = new Set<string>(input?.required)
  t.same(
    table(PAGE, 'field', 'type', 'default').map((row) => row.slice(0, 3)),
    Object.entries(input?.properties ?? {}).map(([name, schema]) => [
      name,
      schema.type,
      'default' in schema ? String(schema.default) : required.has(name) ? 'must be there' : 'none',
    ]),
  )
  t.same(
    table(PAGE, 'field', 'type', 'meaning').map((row) => row.slice(0, 2)),
    Object.entries(output?.properties ?? {}).map(([name, { type }]) => [name, type]),
  )
  for (const [name, schema] of Object.entries(input?.properties ?? {})) {
    const isSecret = 'writeOnly' in schema && schema.writeOnly
    const row = table(PAGE, 'field', 'type', 'default').find(([field]) => field === name)
    t.equal(/secret/.test(row?.[3] ?? ''), isSecret === true, name)
  }
})

t.test('its table of errors has every code that the tests of the worker expect', async (t) => {
  const codes = table(PAGE, 'code', 'retryable', 'when').map(([code]) => code)
  const tests = ['test/workers/ssh.test.ts', 'test/workers/ssh-ends.test.ts'].map(read).join('')
  const expected = new Set([...tests.matchAll(/code: '([a-z-]+)'/g)].map(([, code]) => code))
  for (const code of ['invalid-input', 'canceled']) expected.delete(code)
  t.ok(expected.size > 10)
  for (const code of expected) t.ok(codes.includes(code ?? ''), code ?? '')
})
