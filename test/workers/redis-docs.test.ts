import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { toCommand } from '../../workers/redis/command.ts'
import { Input, Output } from '../../workers/redis/schema.ts'
import redis from '../../workers/redis.ts'
import { listen } from '../app.ts'
import { blocks, isRightAfter, root, table } from '../docs/markdown.ts'
import { Transcript } from '../docs/transcript.ts'
import { startApp } from './perform.ts'
import { startRedis } from './redis/server.ts'

const PAGE = 'docs/workers/redis.md'
const run = promisify(execFile)

t.test('what its curl commands answer is what the page shows', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const address = new URL(await listen(await startApp(t))).host
  const onPorts = (text: string) =>
    text
      .replaceAll('localhost:8888', address)
      .replaceAll(
        '"host": "localhost", "port": 6379',
        `"host": "localhost", "port": ${server.port}`,
      )
  const transcript = new Transcript()
  const all = blocks(PAGE)
  const commands = all.filter(({ lang }) => lang === 'sh')
  t.ok(commands.length > 3, 'it has commands')
  for (const command of commands) {
    const answer = all[all.indexOf(command) + 1]
    if (answer?.lang !== 'json' || !isRightAfter(PAGE, answer, command)) {
      t.fail(`${PAGE}:${command.line} shows no answer`)
      continue
    }
    const script = onPorts(transcript.substitute(command.text))
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { timeout: 15_000 })
    t.same(transcript.compare('json', answer.text, stdout), [], `${PAGE}:${command.line}`)
  }
})

t.test('the tables have the fields of the schemas, with their defaults', async (t) => {
  const tls = Input.properties.tls.anyOf[1]
  t.same(
    table(PAGE, 'field', 'type', 'default', 'meaning').map(([field, , value]) => [field, value]),
    Object.entries(Input.properties).map(([name, schema]) => [name, defaultOf(name, schema)]),
  )
  t.same(fieldsAfter('### TLS'), Object.keys(tls.properties))
  t.same(
    table(PAGE, 'field', 'type', 'meaning').map(([field]) => field),
    Object.keys(Output.properties),
  )
})

t.test('the table of errors has every code, and no other', async (t) => {
  const shown = table(PAGE, 'code', 'retryable', 'when').map(([code]) => code)
  const own = codesIn('workers/redis/*.ts')
  const shared = codesIn('src/task/{egress,connection-error}.ts')
  t.ok(own.size > 12, 'the codes are found')
  t.same(
    [...own].filter((code) => !shown.includes(code)),
    [],
  )
  t.same(
    [...shared].filter((code) => !shown.includes(code)),
    [],
  )
  t.same(
    shown.filter((code = '') => !own.has(code) && !shared.has(code)),
    [],
  )
})

t.test('every command that the page says is not performed is refused', async (t) => {
  const names = table(PAGE, 'commands', 'for').flatMap(([cell = '']) =>
    cell.split(',').map((name) => name.trim().replaceAll('`', '')),
  )
  t.ok(names.length > 20, 'the commands are found')
  for (const name of names) {
    const [command = '', ...args] = name.toLowerCase().split(' ')
    t.throws(() => toCommand({ command, args }), { code: 'command-refused' }, name)
  }
})

t.test('secret fields are marked as such, and the bounds are the page’s', async (t) => {
  const { password, tls } = Input.properties
  t.equal(Reflect.get(password, 'writeOnly'), true)
  t.equal(Reflect.get(tls.anyOf[1].properties.key, 'writeOnly'), true)
  t.match(readFileSync(join(root, PAGE), 'utf8'), `At most ${redis.maxNumTasks} tasks`)
})

function defaultOf(name: string, schema: object): string {
  if (Input.required.some((required) => required === name)) return 'must be there'
  return 'default' in schema ? JSON.stringify(schema.default) : 'none'
}

function fieldsAfter(heading: string): string[] {
  const text = readFileSync(join(root, PAGE), 'utf8')
  const section = text.slice(text.indexOf(heading)).split('\n## ')[0] ?? ''
  return [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field ?? '')
}

/** The codes of errors that sources have: words with a dash, or `unreachable`. */
function codesIn(pattern: string): Set<string> {
  const sources = globSync(pattern, { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  )
  const found = sources.flatMap((source) =>
    [...source.matchAll(/(?:code: |TaskError\(\s*)'([a-z]+(?:-[a-z]+)*)'/g)].map(
      ([, code]) => code,
    ),
  )
  return new Set(found.filter((code) => code !== undefined))
}
