import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createApp } from '../../src/app.ts'
import { defineWorker, Type } from '../../src/index.ts'
import { BUILTINS } from '../builtins.ts'
import { perform, startApp } from '../workers/perform.ts'

/** A folder outside the repository, with no package.json above it, that holds these files. */
function outside(t: Test, files: { readonly [name: string]: string }): string {
  const folder = mkdtempSync(join(tmpdir(), 'errand-workers-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

const defined = (name: string, types = '') => `
import { defineWorker, Type } from 'errand'
const greeting${types} = 'hello '
export default defineWorker({
  name: '${name}',
  details: {
    description: 'Greets',
    input: Type.Object({ who: Type.String() }),
    output: Type.String(),
    example: { who: 'world' },
  },
  perform: ({ who }) => greeting + who,
})`

const plain = `
export default {
  name: 'plain',
  details: {
    description: 'A plain object with plain JSON Schema',
    input: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
    output: { type: 'integer' },
  },
  maxNumTasks: 3,
  timeout: 1000,
  retry: { retries: 1 },
  perform({ n }) { return n + 1 },
}`

t.test(
  '.ts, .mts, .js and .mjs from a folder anywhere, with errand imported by its name',
  async (t) => {
    const folder = outside(t, {
      'one.ts': defined('from-ts', ': string'),
      'two.js': defined('from-js'),
      'three.mjs': defined('from-mjs'),
      'four.js': plain,
      'five.mts': defined('from-mts', ': string'),
    })
    const app = await startApp(t, { workers: [folder], builtins: false })
    for (const name of ['from-ts', 'from-mts', 'from-js', 'from-mjs']) {
      const task = await perform(app, name, { who: name })
      t.match(task, { status: 'completed', output: `hello ${name}` })
    }
    t.match(await perform(app, 'plain', { n: 1 }), { status: 'completed', output: 2 })
    await t.rejects(app.errand.submit('plain', { n: '1' }), { code: 'invalid-input' })
    await t.rejects(app.errand.submit('plain', { n: 1, m: 2 }), { code: 'invalid-input' })
    const { worker } = await app.errand.worker('plain')
    t.match(worker, { maxNumTasks: 3, timeout: 1_000, retry: { retries: 1, factor: 2 } })
  },
)

t.test('the errand that a file imports is the one that runs', async (t) => {
  const folder = outside(t, {
    'checks.ts': `
      import { defineWorker, TaskError } from 'errand'
      export default defineWorker({
        name: 'checks',
        details: { description: 'Fails' },
        perform() { throw new TaskError('of-its-own', 'no', { retryable: false }) },
      })`,
  })
  const app = await startApp(t, { workers: [folder], builtins: false })
  const error = { code: 'of-its-own', message: 'no', retryable: false }
  t.same((await perform(app, 'checks')).error, error)
})

t.test('beside the built-in workers, from several folders, and as definitions', async (t) => {
  const one = outside(t, { 'one.ts': defined('one') })
  const two = outside(t, { 'two.ts': defined('two') })
  const three = defineWorker({
    name: 'three',
    details: { description: 'Counts', input: Type.Object({}) },
    perform: () => 3,
  })
  const app = await startApp(t, { workers: [one, three, two] })
  const names = (await app.errand.workers()).map(({ worker }) => worker.name)
  t.same(names, [...BUILTINS, 'one', 'three', 'two'].sort())
})

t.test('what is no worker is left alone', async (t) => {
  const folder = outside(t, {
    'one.ts': defined('one'),
    'one.d.ts': 'throw new Error("loaded")',
    'one.d.mts': 'throw new Error("loaded")',
    '.hidden.ts': 'throw new Error("loaded")',
    'README.md': '# Workers',
    'data.json': '{}',
    'lib/helper.ts': 'throw new Error("loaded")',
  })
  const app = await startApp(t, { workers: [folder], builtins: false })
  t.equal((await app.errand.workers()).length, 1)
})

t.test('a worker may import its neighbours, from a subfolder too', async (t) => {
  const folder = outside(t, {
    'one.ts': `
      import { defineWorker } from 'errand'
      import { answer } from './lib/answer.ts'
      export default defineWorker({
        name: 'one', details: { description: 'Answers' }, perform: () => answer,
      })`,
    'lib/answer.ts': 'export const answer: number = 42',
  })
  const app = await startApp(t, { workers: [folder], builtins: false })
  t.match(await perform(app, 'one'), { output: 42 })
})

t.test('an empty folder has no workers', async (t) => {
  const app = await startApp(t, { workers: [outside(t, {})], builtins: false })
  t.same(await app.errand.workers(), [])
})

/** A plain worker with some of its members replaced, as the source of a module. */
function worker(members: string): string {
  return `export default {
    name: 'broken',
    details: { description: 'Broken', input: { type: 'object', properties: { n: { type: 'integer' } } } },
    perform: () => null,
    ${members}
  }`
}

const details = (members: string) => worker(`details: { description: 'Broken', ${members} },`)

const MALFORMED: { readonly [what: string]: readonly [source: string, fault: RegExp] } = {
  'no default export': ['export const worker = {}', /no default export.*defineWorker/],
  // To Node it is CommonJS, which exports an empty object.
  'an empty file': ['', /no default export|name must match/],
  'a default that is null': ['export default null', /no object/],
  'a default that is a function': ['export default () => ({})', /no object/],
  'a default that is a list': ['export default []', /no object/],
  'no name': [worker('name: undefined,'), /name must match .*, not undefined/],
  'a name in capitals': [worker("name: 'Broken',"), /name must match .*"Broken"/],
  'a name with a slash': [worker("name: 'a/b',"), /name must match .*"a\/b"/],
  'a name that is too long': [worker("name: 'a'.repeat(65),"), /name must match/],
  'no details': [worker('details: undefined,'), /details must be an object/],
  'no description': [worker('details: {},'), /details\.description/],
  'no perform': [worker('perform: undefined,'), /perform must be a function/],
  'a perform that is no function': [worker("perform: 'x',"), /perform must be a function/],
  'an input schema that is none': [
    details("input: 'object'"),
    /details\.input must be a JSON Schema/,
  ],
  'an input schema of an unknown type': [
    details("input: { type: 'objekt' }"),
    /details\.input is no valid JSON Schema.*type/,
  ],
  'an output schema that refers to nothing': [
    details("output: { $ref: '#/$defs/none' }"),
    /details\.output is no valid JSON Schema/,
  ],
  'a pattern that is none': [
    details("input: { type: 'object', properties: { a: { type: 'string', pattern: '(' } } }"),
    /details\.input is no valid JSON Schema/,
  ],
  'an example that does not fit': [
    details(
      "input: { type: 'object', properties: { n: { type: 'integer' } } }, example: { n: 'x' }",
    ),
    /details\.example does not fit details\.input: \/n must be integer/,
  ],
  'an example that is not known': [
    details("input: { type: 'object', properties: {} }, example: { m: 1 }"),
    /details\.example does not fit details\.input: \/m is not known here/,
  ],
  'an example that is not JSON': [
    details("input: { type: 'object', properties: { n: {} } }, example: { n: 1n }"),
    /details\.example .*bigint/,
  ],
  'no slots': [worker('maxNumTasks: 0,'), /maxNumTasks must be a whole number from 1/],
  'half a slot': [worker('maxNumTasks: 1.5,'), /maxNumTasks must be a whole number/],
  'slots as text': [worker("maxNumTasks: '5',"), /maxNumTasks must be a whole number/],
  'a timeout of nothing': [worker('timeout: 0,'), /timeout must be a whole number of milliseconds/],
  'a timeout with a unit': [worker("timeout: '5s',"), /timeout must be a whole number/],
  'a timeout past what a timer can wait': [worker('timeout: 2 ** 31,'), /timeout must be/],
  'a retry that is a number': [worker('retry: 3,'), /retry must be an object/],
  'an unknown member of retry': [
    worker('retry: { times: 3 },'),
    /retry\.times is not known.*retries/,
  ],
  'retries below nothing': [worker('retry: { retries: -1 },'), /retry\.retries must be/],
  'half a retry': [worker('retry: { retries: 1.5 },'), /retry\.retries must be a whole number/],
  'a delay that is no number': [worker('retry: { delayMs: NaN },'), /retry\.delayMs must be/],
  'a jitter above the whole': [worker('retry: { jitter: 1.1 },'), /retry\.jitter must be/],
  'an unknown isolation': [worker("isolate: 'process',"), /isolate must be 'thread'/],
  'a signal that is no function': [worker('signal: true,'), /signal must be a function/],
  'a status that is no function': [worker("status: 'enabled',"), /status must be a function/],
  'a throw when it is imported': ['throw new Error("no luck")', /cannot be loaded: no luck/],
  'a throw of something else': ['throw undefined', /cannot be loaded: undefined/],
  'an import that is not there': [
    "import 'no-such-package'\nexport default {}",
    /cannot be loaded: .*no-such-package/,
  ],
}

for (const [what, [source, fault]] of Object.entries(MALFORMED)) {
  t.test(`named with its file and its fault: ${what}`, async (t) => {
    const folder = outside(t, { 'broken.ts': source })
    const start = createApp({ workers: [folder], builtins: false, logLevel: 'silent' })
    t.teardown(() => start.then((app) => app.close()).catch(() => {}))
    const error = await start.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    t.match(error, { name: 'ErrandError', code: 'invalid-worker' })
    const message = error instanceof Error ? error.message : ''
    t.ok(message.startsWith(join(folder, 'broken.ts')), `the file comes first: ${message}`)
    t.match(message, fault)
  })
}

t.test('a syntax error is named with its file, its line and its column', async (t) => {
  for (const [file, source, place, fault] of [
    ['a.ts', "const a: number = 1\nexport default { name: string 'a' }", ':2:31', 'Expected'],
    ['enum.ts', 'export default {}\nenum A { B }', ':2:1', 'TypeScript enum is not supported'],
    ['a.mts', 'export default {\n  name: }', ':2:9', 'Expression expected'],
    ['a.mjs', 'export default {\n  name: }', ':2:9', "Unexpected token '}'"],
    ['twice.mjs', 'let a = 1\nlet a = 2\nexport default {}', ':2:5', "Identifier 'a' has already"],
    ['a.js', "export default {\n  name: 'a\n}", ':2:9', 'Invalid or unexpected token'],
    ['none.mjs', "import { nope } from 'errand'", ':1:10', 'The requested module'],
  ] as const) {
    const path = join(outside(t, { [file]: source }), file)
    const refusal = createApp({ workers: [path], builtins: false, logLevel: 'silent' })
    const error = await refusal.catch((error: unknown) => error)
    t.match(error, { code: 'invalid-worker' }, file)
    const message = error instanceof Error ? error.message : ''
    t.ok(message.startsWith(`${path}${place} cannot be loaded: ${fault}`), message)
  }
})

t.test('a syntax error in a file that a worker imports is named with both', async (t) => {
  const folder = outside(t, {
    'one.ts': "import './lib/two.ts'\nexport default {}",
    'lib/two.ts': '\nexport const two: = 2',
  })
  await t.rejects(createApp({ workers: [folder], builtins: false, logLevel: 'silent' }), {
    code: 'invalid-worker',
    message: `${join(folder, 'one.ts')} cannot be loaded: ${join(folder, 'lib/two.ts')}:2:19: `,
  })
})

t.test('in a CommonJS package, modules go by the names of their files', async (t) => {
  const folder = outside(t, {
    'package.json': '{ "type": "commonjs" }',
    'one.mts': defined('one', ': string'),
    'two.mjs': defined('two'),
    'three.js': plain.replace('export default', 'module.exports ='),
  })
  const app = await startApp(t, { workers: [folder], builtins: false })
  for (const name of ['one', 'two']) {
    t.match(await perform(app, name, { who: name }), { output: `hello ${name}` })
  }
  t.match(await perform(app, 'plain', { n: 1 }), { output: 2 })
})

t.test('a name that is taken names both files', async (t) => {
  const one = outside(t, { 'first.ts': defined('same') })
  const two = outside(t, { 'second.ts': defined('same') })
  await t.rejects(createApp({ workers: [one, two], builtins: false, logLevel: 'silent' }), {
    code: 'invalid-worker',
    message: `${join(two, 'second.ts')}: the name "same" is taken by ${join(one, 'first.ts')}.`,
  })
})

t.test('nor may the name of a built-in worker be taken', async (t) => {
  const folder = outside(t, { 'mine.ts': defined('sleeper') })
  await t.rejects(createApp({ workers: [folder], logLevel: 'silent' }), {
    code: 'invalid-worker',
    message: /mine\.ts: the name "sleeper" is taken by .*sleeper\.ts/,
  })
})

t.test('a single file is loaded alone', async (t) => {
  const folder = outside(t, { 'one.ts': defined('one'), 'two.ts': defined('two') })
  const app = await startApp(t, { workers: [join(folder, 'two.ts')], builtins: false })
  t.match(await perform(app, 'two', { who: 'you' }), { output: 'hello you' })
  t.equal((await app.errand.workers()).length, 1)
})

t.test('a path that leads to no worker is named, with the setting it stands in', async (t) => {
  const folder = outside(t, { 'data.json': '{}' })
  for (const [path, reason] of [
    [join(folder, 'none'), 'does not exist'],
    [join(folder, 'data.json'), 'is neither a folder nor a .ts, .mts, .js or .mjs file'],
  ] as const) {
    await t.rejects(createApp({ workers: [path], logLevel: 'silent' }), {
      code: 'invalid-worker',
      message: `The setting workers (ERRAND_WORKERS) names ${path}, which ${reason}.`,
    })
  }
})

t.test('a thread needs a file to load its worker from', async (t) => {
  const definition = defineWorker({
    name: 'threaded',
    details: { description: 'In a thread' },
    isolate: 'thread',
    perform: () => null,
  })
  await t.rejects(createApp({ workers: [definition], logLevel: 'silent' }), {
    code: 'invalid-worker',
    message: /worker "threaded": .*isolate: 'thread'.*file/,
  })
})

t.test('the folder of built-in workers says of each what it is', async (t) => {
  const app = await startApp(t)
  for (const { worker } of await app.errand.workers()) {
    t.ok(worker.description.length > 20, worker.name)
    t.ok(worker.example !== undefined, `${worker.name} has an example`)
    t.match(readFileSync(new URL(worker.module ?? ''), 'utf8'), 'defineWorker')
  }
})
