import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import rest from '../../workers/rest.ts'
import { listen } from '../app.ts'
import { blocks, isRightAfter, table } from '../docs/markdown.ts'
import { Transcript } from '../docs/transcript.ts'
import { startApp } from './perform.ts'

const PAGE = 'docs/workers/rest.md'
const run = promisify(execFile)

t.test('its curl commands answer what it shows', async (t) => {
  const app = await startApp(t)
  const address = new URL(await listen(app)).host
  const transcript = new Transcript()
  const all = blocks(PAGE)
  const commands = all.filter(({ lang }) => lang === 'sh')
  t.equal(commands.length, 3)
  for (const command of commands) {
    const script = command.text.replaceAll('localhost:8888', address)
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script])
    const next = all[all.indexOf(command) + 1]
    if (next?.lang === 'json' && isRightAfter(PAGE, next, command)) {
      t.same(transcript.compare('json', next.text, stdout), [], `line ${command.line}`)
    } else {
      t.match(JSON.parse(stdout), { status: 'completed', output: { status_code: 202 } })
    }
  }
})

t.test('its tables name every field', async (t) => {
  const { input, output } = rest.details
  t.same(
    table(PAGE, 'field', 'type', 'default').map(([field]) => field),
    Object.keys(input?.properties ?? {}),
  )
  t.same(
    table(PAGE, 'field', 'type', 'meaning').map(([field]) => field),
    Object.keys(output?.properties ?? {}),
  )
})
