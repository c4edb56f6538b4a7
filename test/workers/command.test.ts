import { chmodSync, mkdirSync, realpathSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { stringify } from 'yaml'
import type { TaskEvent } from '../../src/engine/events.ts'
import { children, type Result, resultOf, serve } from './command/serve.ts'
import { perform, startApp } from './perform.ts'

const string = { type: 'string' }
const script = (command: string, more: object = {}) => ({ shell: true, command, ...more })
const EMPTY = { exitCode: 0, output: '', stderr: '' }

t.test('output and error output, as text, as lines, as JSON', async (t) => {
  const print = `printf 'a\\r\\nb\\n\\nc'; echo oops >&2`
  const { app } = await serve(t, {
    text: script(print),
    lines: script(print, { output: 'lines' }),
    json: script(`echo '{"a":[1,null]}'`, { output: 'json' }),
    none: script(':', { output: 'lines' }),
  })
  const stderr = 'oops\n'
  const text = await perform(app, 'text')
  t.same(text.output, { exitCode: 0, output: 'a\r\nb\n\nc', stderr })
  t.same((await perform(app, 'lines')).output, {
    exitCode: 0,
    output: ['a', 'b', '', 'c'],
    stderr,
  })
  t.same((await perform(app, 'json')).output, { ...EMPTY, output: { a: [1, null] } })
  t.same((await perform(app, 'none')).output, { ...EMPTY, output: [] })
  const logged = (await app.errand.logs(text.id)).map(({ level, message }) => [level, message])
  t.same(
    logged.filter(([level]) => level === 'info').map(([, message]) => message),
    ['a', 'b', '', 'c'],
  )
  t.same(
    logged.filter(([level]) => level === 'warn'),
    [['warn', 'oops']],
  )
})

t.test('lines are logged as they come', async (t) => {
  const { app, folder } = await serve(t, {
    tell: script('echo first; until [ -e go ]; do sleep 0.02; done; echo second'),
  })
  const first = Promise.withResolvers<void>()
  const onEvent = (event: TaskEvent) => {
    if (event.type === 'log' && event.entry.message === 'first') first.resolve()
  }
  const subscription = app.errand.events.subscribe({ onEvent, onEnd: () => {} })
  t.teardown(() => subscription.close())
  const done = perform(app, 'tell')
  await first.promise
  writeFileSync(`${folder}/go`, '')
  t.match(await done, { status: 'completed', output: { output: 'first\nsecond\n' } })
})

t.test('output that is no JSON', async (t) => {
  const { app } = await serve(t, {
    words: script('echo words', { output: 'json' }),
    nothing: script(':', { output: 'json' }),
    cut: script('echo "[1,2,3,4,5,6]"', { output: 'json', max_output: 8 }),
    failing: script('echo words; exit 2', { output: 'json' }),
    telling: script(`echo '{"why":1}'; exit 2`, { output: 'json' }),
  })
  const refused = { status: 'failed', error: { code: 'output-not-json', retryable: false } }
  t.match(await perform(app, 'words'), { ...refused, output: { exitCode: 0, output: 'words\n' } })
  t.match(await perform(app, 'nothing'), refused)
  t.match(await perform(app, 'cut'), { error: { message: /bytes of it were left out/ } })
  const failed = { status: 'failed', error: { code: 'command-failed' } }
  t.match(await perform(app, 'failing'), { ...failed, output: { exitCode: 2, output: 'words\n' } })
  t.match(await perform(app, 'telling'), { ...failed, output: { output: { why: 1 } } })
})

t.test('exit codes and signals', async (t) => {
  const exit = { input: { code: 'integer' } }
  const { app } = await serve(t, {
    exit: script('echo out; echo one >&2; echo two >&2; exit $INPUT_CODE', exit),
    some: script('exit $INPUT_CODE', { ...exit, success: [0, 3] }),
    none: script('exit $INPUT_CODE', { ...exit, success: [1] }),
    killed: script('kill -SEGV $$'),
  })
  t.match(await perform(app, 'exit', { code: 7 }), {
    status: 'failed',
    error: { code: 'command-failed', message: 'The script exited with 7: two', retryable: true },
    output: { exitCode: 7, output: 'out\n', stderr: 'one\ntwo\n' },
  })
  t.same((await perform(app, 'some', { code: 3 })).output, { ...EMPTY, exitCode: 3 })
  t.equal((await perform(app, 'some', { code: 1 })).status, 'failed')
  t.equal((await perform(app, 'none', { code: 0 })).status, 'failed')
  t.equal((await perform(app, 'none', { code: 1 })).status, 'completed')
  const killed = await perform(app, 'killed')
  t.match(killed, { error: { code: 'command-failed', message: /was ended by SIGSEGV$/ } })
  t.same(killed.output, { signal: 'SIGSEGV', output: '', stderr: '' })
})

t.test('a failed command is made again as its policy says', async (t) => {
  const { app } = await serve(t, {
    second: script('[ -e tried ] || { touch tried; exit 1; }', {
      retry: { retries: 1, delayMs: 1 },
    }),
  })
  t.match(await perform(app, 'second'), { status: 'completed', attempt: 2 })
})

t.test(
  'of much output, its beginning and its end are kept, and the program is not held up',
  async (t) => {
    const { app } = await serve(t, {
      count: script('seq 1 1000000; echo done >&2', { max_output: 1_000 }),
      count2: script('seq 1 1000000 >&2', { max_output: 1_000, output: 'lines' }),
    })
    const task = await perform(app, 'count')
    const { output, truncated, ...rest } = resultOf(task)
    t.same(rest, { exitCode: 0, stderr: 'done\n' })
    t.same(truncated, { output: 6_888_896 - 1_000, stderr: 0 })
    t.match(
      output,
      /^1\n2\n3\n[\s\S]*\n\[… 6887896 bytes left out …\]\n[\s\S]*\n999999\n1000000\n$/,
    )
    t.equal(
      Buffer.byteLength(String(output)),
      1_000 + Buffer.byteLength('\n[… 6887896 bytes left out …]\n'),
    )
    t.match(resultOf(await perform(app, 'count2')).truncated, { output: 0, stderr: 6_887_896 })
    const log = await app.errand.logs(task.id)
    t.match(log.at(-1)?.message, /lines left out: more than 1000 a second/)
  },
)

t.test('bytes that are no UTF-8 are replaced', async (t) => {
  const { app } = await serve(t, { bytes: script(`printf 'a\\377b\\n\\303\\244'`) })
  t.equal(resultOf(await perform(app, 'bytes')).output, 'a\ufffdb\nä')
})

t.test('the environment is what the definition says, and nothing else', async (t) => {
  const secrets = {
    ERRAND_API_KEY: 'sesame-sesame',
    ERRAND_SECRET_X: 'sesame',
    AWS_SECRET_ACCESS_KEY: 'sesame',
    FOR_SOME: 'some',
  }
  for (const [name, value] of Object.entries(secrets)) {
    const before = process.env[name]
    process.env[name] = value
    t.teardown(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  const env = { command: ['env', '-0'], input: { value: string } }
  const { app } = await serve(t, {
    plain: env,
    some: { ...env, env_allow: ['FOR_SOME', 'NOT_SET'] },
    none: { ...env, env_allow: [], env: { PATH: '/nowhere:/usr/bin:/bin' } },
    set: { ...env, env: { GREETING: 'Hello, {{value}}', LD_X: 'y' }, env_allow: [] },
    script: { shell: true, command: 'env -0', input: { path: string, LD_PRELOAD: string } },
  })
  const seen = async (worker: string, input: object = { value: 'a\nb=c' }) => {
    const { output } = resultOf(await perform(app, worker, input))
    const pairs = String(output)
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
      // What tap gives to every process that a test starts.
      .filter(([name = '']) => !/^(?:NODE_OPTIONS|_?TAP.*|PWD|_)$/.test(name))
    return Object.fromEntries(pairs)
  }
  const plain = await seen('plain')
  t.equal(plain.PATH, process.env.PATH)
  const known = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR']
  t.same(
    Object.keys(plain).filter((name) => !known.includes(name)),
    [],
  )
  t.same(await seen('some'), { FOR_SOME: 'some' })
  t.same(await seen('none'), { PATH: '/nowhere:/usr/bin:/bin' })
  t.same(await seen('set'), { GREETING: 'Hello, a\nb=c', LD_X: 'y' })
  const script = await seen('script', { path: 'p', LD_PRELOAD: '/tmp/evil.so' })
  t.equal(script.PATH, process.env.PATH, 'no field names a variable of the system')
  t.match(script, { INPUT_PATH: 'p', INPUT_LD_PRELOAD: '/tmp/evil.so', LD_PRELOAD: undefined })
})

t.test('stdin: nothing, a text, the input as JSON, and what nobody reads', async (t) => {
  const optional = { type: 'object', properties: { body: string } }
  const { app } = await serve(t, {
    none: { command: ['cat'] },
    text: { command: ['cat'], stdin: 'to {{body}}', input: { body: string } },
    optional: { command: ['cat'], stdin: '{{body}}', input: optional },
    json: {
      command: ['cat'],
      stdin: 'json',
      output: 'json',
      input: { body: string, n: 'integer' },
    },
    unread: { command: ['true'], stdin: '{{body}}', input: { body: string } },
    count: { command: ['wc', '-c'], stdin: '{{body}}', input: { body: string } },
    script: script('cat; echo "$INPUT_BODY"', { stdin: '{{body}}', input: { body: string } }),
  })
  t.same((await perform(app, 'none')).output, EMPTY)
  t.same((await perform(app, 'text', { body: 'ä\0b' })).output, { ...EMPTY, output: 'to ä\0b' })
  t.same((await perform(app, 'optional')).output, EMPTY)
  const input = { body: '"', n: 1 }
  t.same((await perform(app, 'json', input)).output, { ...EMPTY, output: input })
  const body = 'x'.repeat(900_000)
  t.same((await perform(app, 'unread', { body })).output, EMPTY)
  t.match(resultOf(await perform(app, 'count', { body })).output, /^900000\b/)
  t.equal(resultOf(await perform(app, 'script', { body: 'b' })).output, 'bb\n')
})

t.test('it runs in the folder of its file, or one named from there', async (t) => {
  const { app, folder } = await serve(t, {
    here: { command: ['pwd', '-P'] },
    root: { command: ['pwd', '-P'], cwd: '/' },
    above: { command: ['pwd', '-P'], cwd: '..' },
  })
  const where = async (worker: string) => resultOf(await perform(app, worker)).output
  t.equal(await where('here'), `${realpathSync(folder)}\n`)
  t.equal(await where('root'), '/\n')
  t.equal(await where('above'), `${realpathSync(`${folder}/..`)}\n`)
})

t.test('a program that was there at the start, and is not any more', async (t) => {
  const folder = t.testdir({
    tool: '#!/bin/sh\necho hi\n',
    bad: '#!/bin/sh\n',
    gone: '#!/nowhere\n',
  })
  for (const name of ['tool', 'bad', 'gone']) chmodSync(`${folder}/${name}`, 0o755)
  mkdirSync(`${folder}/folder`)
  const definitions = {
    tool: { description: 'x', command: ['./tool'] },
    bad: { description: 'x', command: ['./bad'] },
    gone: { description: 'x', command: ['./gone'] },
    within: { description: 'x', command: ['true'], cwd: 'folder' },
  }
  writeFileSync(`${folder}/c.yaml`, stringify({ workers: definitions }))
  const app = await startApp(t, { commands: [`${folder}/c.yaml`], builtins: false })
  const failure = async (worker: string) => (await perform(app, worker)).error
  t.equal(await failure('tool'), undefined)
  chmodSync(`${folder}/bad`, 0o644)
  t.match(await failure('gone'), { code: 'command-not-found', message: /interpreter/ })
  t.match(await failure('bad'), { code: 'command-not-executable', retryable: false })
  rmSync(`${folder}/tool`)
  rmdirSync(`${folder}/folder`)
  t.match(await failure('tool'), { code: 'command-not-found', retryable: false })
  t.match(await failure('within'), { code: 'folder-not-found', retryable: false })
  t.same(children(), [], 'what did not start left nothing')
})

t.test('a secret of the input is seen in the environment and on stdin only', async (t) => {
  const input = { token: { type: 'string', writeOnly: true } }
  const { app } = await serve(t, {
    secret: {
      ...{ command: ['sh', '-c', 'cat /proc/$$/cmdline; cat'], input },
      ...{ env: { TOKEN: '{{token}}' }, stdin: '{{token}}' },
    },
  })
  const { output } = resultOf(await perform(app, 'secret', { token: 'sesame' })) as Result
  t.notMatch(String(output).split('cat\0')[0], /sesame/)
})
