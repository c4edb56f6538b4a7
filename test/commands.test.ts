import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readCommands } from '../src/commands/read-commands.ts'
import { createApp } from '../src/index.ts'
import { cli, run } from './server-process.ts'

/** The fault of a file; the place in it stands for its path. */
async function faultOf(t: Test, text: string): Promise<string> {
  const file = join(t.testdir({ 'c.yaml': text }), 'c.yaml')
  try {
    await createApp({ commands: [file], builtins: false, logLevel: 'silent' })
    return 'none'
  } catch (error) {
    t.match(error, { code: 'invalid-worker' })
    return (error as Error).message.replaceAll(file, 'FILE')
  }
}

/** A file of one worker, whose members begin on line 4. */
function oneWorker(members: string): string {
  return `workers:
  one:
    description: One
${members.trimEnd().replace(/^/gm, '    ')}
`
}

t.test('a file that is no YAML, or none at all', async (t) => {
  t.match(await faultOf(t, 'workers:\n  a: [1, 2\n  b: c\n'), /^FILE:3:3: no valid YAML: /)
  t.match(await faultOf(t, 'workers:\n  a: {}\n  a: {}\n'), /^FILE:3:3: no valid YAML: .*unique/)
  t.match(await faultOf(t, 'workers: *nobody\n'), /^FILE:1:10: no valid YAML: .*nobody/)
  t.match(
    await faultOf(t, 'a: 1\n---\nb: 2\n'),
    /^FILE:\d+:\d+: no valid YAML: .*multiple documents/,
  )
  t.match(await faultOf(t, ''), 'FILE:1:1: it must be a map: workers, by their names.')
  t.match(await faultOf(t, '- a\n'), 'FILE:1:1: it must be a map: workers, by their names.')
  t.equal(
    await faultOf(t, 'worker: {}\n'),
    'FILE:1:1: worker is not known (did you mean workers?): workers are.',
  )
  t.equal(await faultOf(t, 'workers:\n'), 'FILE:1:9: workers must be a map of workers by name.')
  await t.rejects(readCommands('/nowhere/c.yaml'), {
    code: 'invalid-worker',
    message: 'The setting commands (ERRAND_COMMANDS) names /nowhere/c.yaml, which does not exist.',
  })
  await t.rejects(readCommands('/'), { message: /names \/, which cannot be read: EISDIR/ })
})

/** Members of a worker, and what is said of them. */
const FAULTS: readonly (readonly [members: string, fault: string | RegExp])[] = [
  ['', /^FILE:2:3: workers\.one needs command: a list of words/],
  ['command: printf %s', /^FILE:4:14: workers\.one\.command must be a list of words/],
  ['command: []', /^FILE:4:14: workers\.one\.command must begin with the name of a program/],
  [
    'command: [sleep, 5]',
    'FILE:4:22: workers.one.command.1 must be a list of strings, not 5: put it in quotes.',
  ],
  [
    'command: [no-such-program-here]',
    'FILE:4:15: workers.one.command.0 names no-such-program-here, but there is no such program in PATH.',
  ],
  ['command: [./nothing]', /^FILE:4:15: .* no such program at \/.*\/nothing\.$/],
  ['command: ["{{a}}"]\ninput: { a: string }', /command\.0 may not come from the input/],
  [
    'command: [echo, "{{nmae}}"]\ninput: { name: string }',
    'FILE:4:21: workers.one.command.1 names nmae, which is no field of input (did you mean name?).',
  ],
  ['command: [echo, "{{a}}"]', /command\.1 names a, which is no field of input\.$/],
  [
    'command: [echo, {{a}}]',
    /^FILE:4:21: .*command\.1 must be a list of strings: put {{…}} in quotes/,
  ],
  ['command: [echo, "{{a.b}}"]', /command\.1 is no template: {{a\.b}} names no field; \\{{ stands/],
  ['command: [echo, "{{a"]', /command\.1 is no template: a {{ without its }}/],
  ['command: [echo, "x{{a...}}"]\ninput: { a: array }', /must be a word of its own/],
  [
    'command: [echo, "{{a...}}"]\ninput: { a: string }',
    /has {{a\.\.\.}}, but a is not of type array/,
  ],
  [
    'command: [sh, -c, "echo {{a}}"]\ninput: { a: string }',
    /^FILE:4:23: workers\.one\.command\.2 is a script that sh runs, in which a value could be any command: use shell: true/,
  ],
  ['command: [env, bash, -ec, "{{a}}"]\ninput: { a: string }', /a script that bash runs/],
  ['command: [sh, -c, -e, "-", "{{a}}"]\ninput: { a: string }', /a script that sh runs/],
  ['command: [node, "--eval={{a}}"]\ninput: { a: string }', /a script that node runs/],
  ['command: [env, su, x, "-c{{a}}"]\ninput: { a: string }', /a script that su runs/],
  ['command: [echo]\nshell: yes', /^FILE:5:12: workers\.one\.shell must be true or false/],
  ['command: [echo]\nshell: true', /^FILE:4:14: workers\.one\.command must be one string/],
  [
    'command: echo {{a}}\nshell: true\ninput: { a: string }',
    /^FILE:4:14: workers\.one\.command holds {{a}}, but a script is run as it stands.*write "\$INPUT_A", in quotes\.$/,
  ],
  ['command: echo\nshell: true\nallow_dash: true', /allow_dash says nothing of a script/],
  ['command: echo\nshell: true\ninput: { a-b: string, a_b: string }', /would both be \$INPUT_A_B/],
  ['command: [echo]\nallow_dash: 1', /allow_dash must be true, false or a list of fields/],
  [
    'command: [echo]\nallow_dash: [b]\ninput: { a: string }',
    /allow_dash\.0 names b, which is no field/,
  ],
  ['command: [echo]\nisolate: thread', /^FILE:5:5: workers\.one\.isolate is not known/],
  ['command: [echo]\ntimeuot: 3s', /timeuot is not known \(did you mean timeout\?\)/],
  ['command: [echo]\ntimeout: 3 hours', /^FILE:5:14: workers\.one\.timeout must be a duration/],
  ['command: [echo]\ntimeout: 0', /timeout/],
  ['command: [echo]\nkill_after: 1h', /kill_after must be a duration of at most 10m/],
  ['command: [echo]\nmaxNumTasks: 0', /maxNumTasks must be a whole number from 1/],
  ['command: [echo]\nmax_output: 1.5', /max_output must be a whole number from 1/],
  ['command: [echo]\noutput: yaml', /output must be one of text, lines, json/],
  ['command: [echo]\nsuccess: 0', /success must be a list of exit codes/],
  ['command: [echo]\nsuccess: [256]', /success must be a list of exit codes/],
  [
    'command: [echo]\nretry: { retires: 3 }',
    /^FILE:2:3: retry\.retires is not known \(did you mean/,
  ],
  ['command: [echo]\nenv: [A]', /env must be values of variables by name/],
  ['command: [echo]\nenv: { A: 1 }', /^FILE:5:15: workers\.one\.env\.A must be a string, not 1/],
  ['command: [echo]\nenv: { "A B": x }', /names "A B", which is no name of a variable/],
  ['command: [echo]\nenv: { A: "{{b}}" }', /env\.A names b, which is no field of input/],
  ['command: [echo]\nenv_allow: HOME', /env_allow must be a list of names/],
  [
    'command: [echo]\nenv_allow: [ERRAND_API_KEY]',
    /names ERRAND_API_KEY: the server's own settings/,
  ],
  ['command: [echo]\nstdin: [a]', /stdin must be json, or a text/],
  ['command: [echo]\nstdin: "{{b}}"', /stdin names b, which is no field of input/],
  [
    'command: [echo]\ncwd: nowhere',
    /^FILE:5:10: workers\.one\.cwd names \/.*\/nowhere, which is no folder/,
  ],
  ['command: [echo]\ninput: string', /input must be a JSON Schema, or the schemas of fields/],
  ['command: [echo]\ninput: { a: strnig }', /input\.a must be a JSON Schema, or one of string,/],
  [
    'command: [echo]\ninput: { required: [a], properties: { a: {} } }',
    /input must say type: object/,
  ],
  ['command: [echo]\ninput: { a: { tpye: string } }', /^FILE:2:3: .*no valid JSON Schema: .*tpye/],
  ['command: [echo]\ninput: { a: string }\nexample: { b: 1 }', /example does not fit/],
]

t.test('each fault of a definition is told with its place', async (t) => {
  for (const [members, fault] of FAULTS) {
    t.match(await faultOf(t, oneWorker(members)), fault, members)
  }
  t.match(await faultOf(t, 'workers: { one: { command: [echo] } }'), /needs description: what/)
  t.match(await faultOf(t, 'workers: { one: echo }'), /^FILE:1:17: workers\.one must be a map/)
  const described = '{ description: x, command: [echo] }'
  t.match(await faultOf(t, `workers: { One: ${described} }`), /^FILE:1:12: name must match/)
})

t.test('a name that is taken', async (t) => {
  const one = 'workers: { sleeper: { description: x, command: [echo] } }'
  const folder = t.testdir({ 'a.yaml': one, 'b.yaml': one })
  const [a, b] = [join(folder, 'a.yaml'), join(folder, 'b.yaml')]
  await t.rejects(createApp({ commands: [a, b], builtins: false, logLevel: 'silent' }), {
    message: `${b}:1:12: the name "sleeper" is taken by ${a}:1:12.`,
  })
  await t.rejects(createApp({ commands: [a], logLevel: 'silent' }), {
    message: /the name "sleeper" is taken by .*sleeper\.[tj]s\.$/,
  })
})

t.test('a fault stops the start of the server with one line', async (t) => {
  const file = join(t.testdir({ 'c.yaml': oneWorker('command: [nowhere-to-be-found]') }), 'c.yaml')
  const { code, stderr } = await run(process.execPath, [cli, 'serve', '--commands', file])
  t.equal(code, 1)
  t.equal(
    stderr,
    `errand: ${file}:4:15: workers.one.command.0 names nowhere-to-be-found, but there is no such program in PATH.\n`,
  )
})

t.test('programs are looked for where the definition would have them', async (t) => {
  const folder = t.testdir({
    'c.yaml': `workers:
  beside: { description: x, command: [./tool] }
  within: { description: x, command: [./tool], cwd: bin }
  path: { description: x, command: [tool], env: { PATH: bin:/usr/bin } }
`,
    tool: '#!/bin/sh\n',
    bin: { tool: '#!/bin/sh\n' },
  })
  for (const tool of ['tool', 'bin/tool']) chmodSync(join(folder, tool), 0o755)
  const { workers } = await readCommands(join(folder, 'c.yaml'))
  t.same(
    workers.map(({ worker }) => worker.name),
    ['beside', 'within', 'path'],
  )
  chmodSync(join(folder, 'tool'), 0o644)
  await t.rejects(readCommands(join(folder, 'c.yaml')), { message: /beside.*no such program/ })
})

t.test('scripts that hold no values are taken, and so are values after them', async (t) => {
  for (const members of [
    `command: [sh, -c, 'echo "$1"', sh, "{{a}}"]`,
    `command: [node, -e, "process.exit()", --, "{{a}}"]`,
    `command: [echo, -c, "{{a}}"]`,
    `command: "echo '{{.State}}' {{ other }}"\nshell: true`,
    `command: [echo, '\\{{a}}']`,
  ]) {
    t.equal(await faultOf(t, oneWorker(`${members}\ninput: { a: string }`)), 'none', members)
  }
})

t.test('a secret that is an argument is remarked on', async (t) => {
  const text = oneWorker(`command: [echo, "{{a}}", "{{b}}"]
env: { C: "{{c}}" }
input:
  a: { type: string, writeOnly: true }
  b: string
  c: { type: string, writeOnly: true }`)
  const { warnings } = await readCommands(join(t.testdir({ 'c.yaml': text }), 'c.yaml'))
  t.equal(warnings.length, 1)
  t.match(warnings[0], /c\.yaml:4:14: the secret a is an argument, .*give it by env or stdin$/)
})

t.test('aliases, and files of no workers', async (t) => {
  const text = `workers:
  a: &a { description: x, command: [echo], env: &e { A: b } }
  b: { description: y, command: [echo], env: *e }
  c: *a
`
  t.equal(await faultOf(t, text), 'none')
  t.equal(await faultOf(t, 'workers: {}\n'), 'none')
})
