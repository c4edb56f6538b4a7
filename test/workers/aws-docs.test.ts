import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { clientNames, packageOf } from '../../workers/aws/client-names.ts'
import aws from '../../workers/aws.ts'
import { listen } from '../app.ts'
import { blocks, isRightAfter, read, root, table } from '../docs/markdown.ts'
import { Transcript } from '../docs/transcript.ts'
import { startAws } from './aws/aws-server.ts'
import { smallAws } from './aws/small-aws.ts'
import { startApp } from './perform.ts'

const PAGE = 'docs/workers/aws.md'
const run = promisify(execFile)

t.test('what its curl commands answer is what the page shows', async (t) => {
  const [app, server] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const address = new URL(await listen(app)).host
  const transcript = new Transcript()
  const all = blocks(PAGE)
  const commands = all.filter(({ lang, text }) => lang === 'sh' && text.startsWith('curl '))
  t.equal(commands.length, 3, 'it has commands')
  for (const command of commands) {
    const answer = all[all.indexOf(command) + 1]
    if (answer?.lang !== 'json' || !isRightAfter(PAGE, answer, command)) {
      t.fail(`${PAGE}:${command.line} shows no answer`)
      continue
    }
    const script = transcript
      .substitute(command.text)
      .replaceAll('localhost:8888', address)
      .replace('"region":', `"endpoint_url": "${server.url}", "region":`)
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { timeout: 15_000 })
    t.same(transcript.compare('json', answer.text, stdout), [], `${PAGE}:${command.line}`)
  }
})

t.test('the tables have the fields of the schemas, with their defaults', async (t) => {
  const { input, output } = aws.details
  if (input === undefined || output === undefined) throw new Error('there are no schemas')
  const rows = table(PAGE, 'field', 'type', 'default', 'meaning')
  t.same(rows.map(([field]) => field).sort(), Object.keys(input.properties).sort())
  for (const [field = '', type = '', value = ''] of rows) {
    const schema: object = Reflect.get(input.properties, field)
    if ('default' in schema) t.equal(value, JSON.stringify(schema.default), field)
    else
      t.equal(
        value === 'must be given',
        input.required.some((name) => name === field),
        field,
      )
    t.equal(type.endsWith(', secret'), Reflect.get(schema, 'writeOnly') === true, field)
  }
  t.same(
    table(PAGE, 'field', 'type', 'meaning').map(([field]) => field),
    Object.keys(output.properties),
  )
})

t.test('the table of errors has every code, and no other', async (t) => {
  const shown = table(PAGE, 'code', 'retryable', 'when').map(([code]) => code)
  const codes = new Set([
    'aws-…',
    'unknown-service',
    'unknown-waiter',
    'timeout',
    'throttled',
    ...codesIn('workers/aws/*.ts'),
    ...codesIn('src/task/{egress,connection-error}.ts'),
  ])
  t.same([...shown].sort(), [...codes].sort())
})

t.test('the clients that the page says come with Errand do', async (t) => {
  const [, list = ''] = /These come with Errand: (.*?)\. Every/s.exec(read(PAGE)) ?? []
  const named = [...list.matchAll(/`([a-z0-9-]+)`/g)].map(([, name = '']) => name)
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const shipped = Object.keys(manifest.dependencies).filter((name) => name.startsWith('@aws-sdk/'))
  t.same([...new Set(named.map(packageOf))].sort(), shipped.sort())
  const known = clientNames()
  t.equal(new Set(known).size, known.length, 'no client is known twice')
  for (const name of named) t.ok(known.includes(name), name)
})

/** The codes of errors that sources have: words with a dash, or `unreachable`. */
function codesIn(pattern: string): string[] {
  return globSync(pattern, { cwd: root })
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .flatMap((source) => [
      ...source.matchAll(/(?:code: |return |TaskError\(\s*)'([a-z]+(?:-[a-z]+)+|unreachable)'/g),
    ])
    .map(([, code = '']) => code)
}
