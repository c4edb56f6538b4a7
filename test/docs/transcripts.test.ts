import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { listen, makeApp } from '../app.ts'
import { type Block, blocks, isRightAfter } from './markdown.ts'
import { readmeHello } from './readme-hello.ts'
import { Transcript } from './transcript.ts'

const run = promisify(execFile)
const ANSWERS = ['json', 'http', 'text']

for (const page of ['README.md', 'docs/http-api.md', 'docs/workers/input.md']) {
  t.test(`${page}: what its curl commands answer is what it shows`, async (t) => {
    const address = new URL(await serve(t)).host
    const transcript = new Transcript()
    const all = blocks(page)
    const commands = all.filter(({ lang, text }) => lang === 'sh' && /^curl /m.test(text))
    t.ok(commands.length > 2, 'it has commands')
    for (const command of commands) {
      const answer = answerTo(page, command, all)
      const script = transcript.substitute(command.text).replaceAll('localhost:8888', address)
      const out = await bash(script, answer === undefined)
      if (answer === undefined) continue
      const faults = transcript.compare(answer.lang, answer.text, out)
      t.same(faults, [], `${page}:${command.line}: ${command.text.split('\n')[0]}`)
    }
  })
}

/** A server as the pages have it: the built-in workers and the README's own. */
async function serve(t: Test): Promise<string> {
  const folder = t.testdir({ 'my-workers': { 'hello.ts': readmeHello() }, files: {} })
  const workers = [join(folder, 'my-workers')]
  return listen(await makeApp(t, { builtins: true, workers, filesRoot: join(folder, 'files') }))
}

function answerTo(page: string, command: Block, all: readonly Block[]): Block | undefined {
  const next = all[all.indexOf(command) + 1]
  if (next === undefined || !ANSWERS.includes(next.lang)) return undefined
  return isRightAfter(page, next, command) ? next : undefined
}

/** What a script prints. A command whose answer is not shown must at least succeed. */
async function bash(script: string, mustSucceed: boolean): Promise<string> {
  const curl = mustSucceed ? 'curl() { command curl --fail-with-body "$@"; }\n' : ''
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', curl + script], {
    timeout: 15_000,
  })
  return stdout
}
