import { execFile } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { readCommands } from '../../src/commands/read-commands.ts'
import { listen, makeApp } from '../app.ts'
import { type Block, blocks, isRightAfter, root, table } from '../docs/markdown.ts'
import { Transcript } from '../docs/transcript.ts'
import { perform, startApp } from './perform.ts'

const run = promisify(execFile)
const PAGE = 'docs/workers/command.md'
const all = blocks(PAGE)

/** The file that the page writes. */
function pageFile(t: Test): string {
  const yaml = all.find(({ lang }) => lang === 'yaml')?.text ?? ''
  return join(t.testdir({ 'commands.yaml': yaml }), 'commands.yaml')
}

function answerTo(command: Block): Block {
  const next = all[all.indexOf(command) + 1]
  if (next?.lang === 'json' && isRightAfter(PAGE, next, command)) return next
  throw new Error(`${PAGE}:${command.line} shows no answer`)
}

t.test('what its curl commands answer is what it shows', async (t) => {
  const app = await makeApp(t, { commands: [pageFile(t)] })
  const address = new URL(await listen(app)).host
  const transcript = new Transcript()
  const commands = all.filter(({ lang, text }) => lang === 'sh' && text.startsWith('curl '))
  t.equal(commands.length, 2)
  for (const command of commands) {
    const script = command.text.replaceAll('localhost:8888', address)
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script])
    t.same(transcript.compare('json', answerTo(command).text, stdout), [], command.text)
  }
})

t.test('the fault that it shows is the one that is told', async (t) => {
  const file = pageFile(t)
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('{{name}}', '{{nmae}}'))
  const shown = all.find(({ lang }) => lang === 'text')?.text ?? ''
  await t.rejects(readCommands(file), {
    message: shown.trim().replace('errand: ', '').replace('/srv/commands.yaml', file),
  })
})

t.test('its tables name every member, field and error', async (t) => {
  const unknown = 'workers: { a: { nothing: 1 } }'
  const file = join(t.testdir({ 'c.yaml': unknown }), 'c.yaml')
  const refusal = await readCommands(file).catch(String)
  const members = /: ((?:\w+, )+\w+) are\./.exec(String(refusal))?.[1]?.split(', ')
  const rows = table(PAGE, 'member', 'means', 'without it')
  t.same(rows.map(([member]) => member).sort(), members?.sort())

  const { workers } = await readCommands(pageFile(t))
  const fields = table(PAGE, 'field', 'type', 'means').map(([field]) => field)
  for (const { worker } of workers) t.same(Object.keys(worker.details.output.properties), fields)

  const sources = globSync('workers/command/*.ts', { cwd: root }).map((path) =>
    readFileSync(join(root, path), 'utf8'),
  )
  const codes = sources.flatMap((source) =>
    [...source.matchAll(/(?:\bcode: |new TaskError\(\s*)'([a-z-]+)'/g)].map(([, code]) => code),
  )
  const listed = table(PAGE, 'code', 'when', 'retryable').map(([code]) => code)
  t.same(listed.sort(), [...new Set(codes)].sort())
})

t.test('examples/commands.yaml loads without a warning, and its examples work', async (t) => {
  const file = join(root, 'examples/commands.yaml')
  const { workers, warnings } = await readCommands(file)
  t.same(warnings, [])
  const app = await startApp(t, { commands: [file], builtins: false })
  const outputs = new Map<string, unknown>()
  for (const { worker } of workers) {
    const task = await perform(app, worker.name, worker.details.example ?? {})
    t.equal(task.status, 'completed', worker.name)
    outputs.set(worker.name, task.output)
  }
  t.match(outputs.get('checksum'), { output: /^[0-9a-f]{64} {2}commands\.yaml\n$/ })
  t.match(outputs.get('archive'), { output: ['commands.yaml'] })
  t.match(outputs.get('disk-space'), { output: { free: Number, used: Number } })
  t.match(outputs.get('sort-lines'), { output: ['b 9', 'b 10'] })
  for (const file of ['/etc/passwd', '../README.md', 'a/../../b', '-', '--version', '.hidden']) {
    await t.rejects(perform(app, 'checksum', { file }), { code: 'invalid-input' }, file)
  }
})
