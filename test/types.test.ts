import { join } from 'node:path'
import t, { type Test } from 'tap'
import { root, run } from './server-process.ts'

const COMPILER = join(root, 'node_modules/.bin/tsc')

const worker = (perform: string, members = '') => `
import { defineWorker, Type } from 'errand'
export default defineWorker({
  name: 'greet',
  details: {
    description: 'Greets',
    input: Type.Object({ who: Type.String(), times: Type.Optional(Type.Integer()) }),
    output: Type.Object({ greeting: Type.String() }),
    ${members}
  },
  ${perform}
})`

/** What the compiler says of the files of a folder, with the settings of the project. */
function compile(t: Test, files: { readonly [name: string]: string }) {
  const config = { extends: join(root, 'tsconfig.json'), include: ['*.ts'] }
  const folder = t.testdir({ ...files, 'tsconfig.json': JSON.stringify(config) })
  return run(COMPILER, ['--noEmit', '--pretty', 'false', '-p', folder], { cwd: folder })
}

const RIGHT: { readonly [name: string]: string } = {
  'typed.ts': worker(`perform({ who, times }) {
    const name: string = who
    const count: number | undefined = times
    return { greeting: name.repeat(count ?? 1) }
  },`),
  'promised.ts': worker('async perform({ who }) { return { greeting: who } },'),
  'context.ts': worker(`async perform({ who }, task) {
    await task.checkpoint()
    task.progress(1, 2, 'half')
    task.log.info(task.id + task.attempt)
    const deadline: Date | undefined = task.deadline
    await fetch('http://localhost', { signal: task.signal })
    return { greeting: who + deadline?.toISOString() }
  },`),
  'example.ts': worker('perform: ({ who }) => ({ greeting: who }),', "example: { who: 'world' },"),
  'steered.ts': worker(`perform: ({ who }) => ({ greeting: who }),
    timeout: 1000,
    retry: { retries: 3 },
    isolate: 'thread',
    signal: (action, task) => action === 'cancel' && task.attempt === 1,
    status: () => 'enabled',`),
  'bare.ts': `
    import { defineWorker } from 'errand'
    export default defineWorker({
      name: 'bare', details: { description: 'Takes and gives what it likes' }, perform: () => 42,
    })`,
  'plain.ts': `
    import { defineWorker } from 'errand'
    export default defineWorker({
      name: 'plain',
      details: { description: 'Plain JSON Schema', input: { type: 'object' } as const },
      perform: (input) => ({ input }),
    })`,
}

/** Each with what the compiler must say about it. */
const WRONG: { readonly [name: string]: readonly [source: string, error: RegExp] } = {
  'member.ts': [
    worker('perform: ({ whom }) => ({ greeting: String(whom) }),'),
    /TS2339: Property 'whom' does not exist/,
  ],
  'member-type.ts': [
    worker('perform({ who }) { const n: number = who; return { greeting: String(n) } },'),
    /TS2322: Type 'string' is not assignable to type 'number'/,
  ],
  'optional.ts': [
    worker("perform: ({ times }) => ({ greeting: 'x'.repeat(times) }),"),
    /TS2345: Argument of type 'number \| undefined'/,
  ],
  'output.ts': [
    worker('perform: ({ who }) => ({ greeting: who.length }),'),
    /TS2322: .*[\s\S]*Type 'number' is not assignable to type 'string'/,
  ],
  'no-output.ts': [worker('perform: () => {},'), /TS2322: [\s\S]*'void'/],
  'example.ts': [
    worker('perform: ({ who }) => ({ greeting: who }),', 'example: { who: 1 },'),
    /TS2322: Type 'number' is not assignable to type 'string'/,
  ],
  'setting.ts': [
    worker('perform: ({ who }) => ({ greeting: who }), maxTasks: 3,'),
    /TS2353: Object literal may only specify known properties/,
  ],
  'no-perform.ts': [worker(''), /Property 'perform' is missing/],
  'context.ts': [
    worker("perform({ who }, task) { task.id = 'x'; return { greeting: who } },"),
    /TS2540: Cannot assign to 'id' because it is a read-only property/,
  ],
}

t.setTimeout(120_000)

t.test('what is right compiles', async (t) => {
  t.same(await compile(t, RIGHT), { code: 0, stdout: '', stderr: '' })
})

t.test('what is wrong does not: the schemas are the types of perform', async (t) => {
  const sources = Object.entries(WRONG).map(([name, [source]]) => [name, source])
  const { code, stdout } = await compile(t, Object.fromEntries(sources))
  t.not(code, 0)
  for (const [name, [, error]] of Object.entries(WRONG)) {
    const lines = stdout.split(/\n(?=\S)/).filter((line) => line.startsWith(`${name}(`))
    t.equal(lines.length, 1, `${name} has one error`)
    t.match(lines.join('\n'), error, name)
  }
})
