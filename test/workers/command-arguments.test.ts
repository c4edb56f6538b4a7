import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { resultOf, serve } from './command/serve.ts'
import { perform } from './perform.ts'

const PRINT = ['/usr/bin/printf', '%s\\0']
const string = { type: 'string' }
/** Whatever a client may send: of any length within reason, with what shells and options are made of. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...' \t\n\'"\\$`(){}[];&|<>*?~#!=%-a'), maxLength: 30 }),
  fc.constantFrom(
    '',
    ' ',
    '$(touch pwned)',
    '`touch pwned`',
    '; touch pwned',
    '"; touch pwned; "',
    "'; touch pwned; '",
    '\ntouch pwned\n',
    '{{b}}',
    '\\{{a}}',
    '%s%n',
    '$HOME',
    '*',
    '\ud800',
    '-rf',
    '--',
  ),
)

/** As a program is given it: what is no UTF-8 is replaced. */
function given(text: string): string {
  return text.toWellFormed()
}

/** The arguments that the program printed, each ended by a NUL. */
function argumentsOf(task: { output?: unknown }): string[] {
  return String(resultOf(task).output).split('\0').slice(0, -1)
}

t.test('a word stays one argument, with exactly the text of its values', async (t) => {
  const { app } = await serve(t, {
    print: {
      command: [...PRINT, '{{a}}', '--b={{b}}', 'x{{a}}y{{ b }}z', '\\{{a}}', '{{list...}}', 'end'],
      input: { a: string, b: string, list: { type: 'array', items: string } },
      allow_dash: true,
    },
  })
  const inputs = fc.record({ a: hostile, b: hostile, list: fc.array(hostile, { maxLength: 5 }) })
  await fc.assert(
    fc.asyncProperty(inputs, async ({ a, b, list }) => {
      const task = await perform(app, 'print', { a, b, list })
      if ([a, b, ...list].some((text) => text.includes('\0'))) {
        return task.error?.code === 'invalid-input' && task.output === undefined
      }
      const expected = [a, `--b=${b}`, `x${a}y${b}z`, '{{a}}', ...list, 'end'].map(given)
      t.same(argumentsOf(task), expected)
      return true
    }),
    { numRuns: 150 },
  )
})

t.test('no value becomes an option, unless the definition says that it may', async (t) => {
  const input = { a: string, b: string, list: { type: 'array' } }
  const { app } = await serve(t, {
    guarded: { command: [...PRINT, '{{a}}{{b}}', 'x', '{{list...}}'], input },
    // Its dashes are those of printf; what follows another program's name is that program's.
    dashes: { command: [...PRINT, '--', '{{a}}{{b}}', '{{list...}}'], input },
    nested: { command: ['env', '--', ...PRINT, '{{a}}{{b}}', '{{list...}}'], input },
    some: { command: [...PRINT, '{{a}}', '{{list...}}', '--b={{b}}'], input, allow_dash: ['a'] },
  })
  const inputs = fc.record({
    a: fc.constantFrom('', '-', '--', '-rf', 'a', '-1', ' -'),
    b: fc.constantFrom('', '-', '-x', 'b'),
    list: fc.array(fc.constantFrom<string | number>('a', '', '-e', '--x', -1, 1), { maxLength: 2 }),
  })
  await fc.assert(
    fc.asyncProperty(inputs, async (given) => {
      const { a, b, list } = given
      const isOption = (text: string | number) => String(text).startsWith('-')
      const isRefused = isOption(a + b) || list.some(isOption)
      for (const worker of ['guarded', 'nested']) {
        const task = await perform(app, worker, given)
        t.equal(task.error?.code, isRefused ? 'invalid-input' : undefined, `${worker}`)
      }
      t.same(argumentsOf(await perform(app, 'dashes', given)), ['--', a + b, ...list.map(String)])
      const some = await perform(app, 'some', given)
      t.equal(some.error?.code, list.some(isOption) ? 'invalid-input' : undefined)
    }),
    { numRuns: 40 },
  )
})

t.test('a refusal names the field, not its value, and no retry mends it', async (t) => {
  const { app } = await serve(t, { print: { command: [...PRINT, '{{a}}'], input: { a: string } } })
  for (const a of ['-sesame', 'ses\0ame']) {
    const { error } = await perform(app, 'print', { a })
    t.match(error, { code: 'invalid-input', message: /\/a /, retryable: false })
    t.notMatch(error?.message, /ses/)
  }
})

t.test('values that are no strings are their JSON; missing ones leave the word out', async (t) => {
  const { app } = await serve(t, {
    print: {
      command: [...PRINT, '{{n}}', '{{yes}}', '{{o}}', '{{list}}', '--o={{opt}}', '{{opt}}', 'end'],
      input: {
        type: 'object',
        properties: {
          n: { type: 'number' },
          yes: { type: 'boolean' },
          o: {},
          list: { type: 'array' },
          opt: { type: ['string', 'null'] },
        },
        required: ['n'],
      },
    },
  })
  const all = { n: 1.5, yes: true, o: { a: [1] }, list: ['a b', -2], opt: null }
  t.same(argumentsOf(await perform(app, 'print', all)), [
    ...['1.5', 'true', '{"a":[1]}', '["a b",-2]', '--o=null', 'null', 'end'],
  ])
  t.same(argumentsOf(await perform(app, 'print', { n: 0 })), ['0', 'end'])
  t.match(await perform(app, 'print', { n: -1 }), { error: { code: 'invalid-input' } })
})

t.test('the short form: fields are required, unless they have a default', async (t) => {
  const { app } = await serve(t, {
    print: {
      command: [...PRINT, '{{name}}', '{{times}}'],
      input: { name: 'string', times: { type: 'integer', default: 2 } },
    },
  })
  t.same(argumentsOf(await perform(app, 'print', { name: 'a' })), ['a', '2'])
  await t.rejects(perform(app, 'print', {}), { code: 'invalid-input' })
  await t.rejects(perform(app, 'print', { name: 1 }), { code: 'invalid-input' })
  await t.rejects(perform(app, 'print', { name: 'a', other: 1 }), { code: 'invalid-input' })
})

t.test('a script is run as it stands: values come in variables', async (t) => {
  const { app, folder } = await serve(t, {
    script: {
      shell: true,
      command: `/usr/bin/printf '%s\\0' "$INPUT_A" "$INPUT_FILE_NAME" '{{other}}' "$0"`,
      input: { a: string, 'file-name': string },
    },
  })
  await fc.assert(
    fc.asyncProperty(hostile, hostile, async (a, name) => {
      const task = await perform(app, 'script', { a, 'file-name': name })
      if ((a + name).includes('\0')) return task.error?.code === 'invalid-input'
      t.same(argumentsOf(task), [given(a), given(name), '{{other}}', 'script'])
      return true
    }),
    { numRuns: 100 },
  )
  t.same(readdirSync(folder), ['commands.yaml'], 'nothing else was run')
})

t.test('an argument longer than the system takes', async (t) => {
  const { app } = await serve(t, { print: { command: [...PRINT, '{{a}}'], input: { a: string } } })
  const task = await perform(app, 'print', { a: 'x'.repeat(200_000) })
  t.match(task, { status: 'failed', error: { code: 'input-too-large', retryable: false } })
})
