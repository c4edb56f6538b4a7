import { dirname, resolve } from 'node:path'
import { type Command, OUTPUTS } from '../../workers/command/command.ts'
import { fieldsOf, type Template } from '../../workers/command/template.ts'
import type { Variable, Word } from '../../workers/command/words.ts'
import type { CommandsFile, Path } from './file.ts'
import { type InputSchema, isSecret, parseInput } from './input.ts'
import { Members } from './members.ts'
import { findProgram, isFolder } from './program.ts'
import {
  inputVariables,
  parseAllowed,
  parseCommand,
  parseScript,
  parseText,
  parseVariables,
} from './words.ts'

const MEMBERS = [
  ...['description', 'command', 'shell', 'input', 'example', 'env', 'env_allow', 'stdin', 'cwd'],
  ...['output', 'success', 'max_output', 'kill_after', 'allow_dash'],
  ...['timeout', 'maxNumTasks', 'retry'],
]
/** What programs commonly need to know of where they run, and nothing that is anybody's secret. */
const INHERITED: readonly string[] = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR'],
]
const SHELL = '/bin/sh'
const MAX_OUTPUT = 1_048_576
const MAX_MAX_OUTPUT = 16_777_216
const KILL_AFTER_MS = 5_000
const MINUTE_MS = 60_000
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** A definition that was checked, and what its author should think about again. */
export interface Definition {
  readonly command: Command
  readonly warnings: readonly string[]
}

/** @throws {@link ErrandError} `invalid-worker`, with the place and the fault */
export function parseDefinition(file: CommandsFile, path: Path, value: unknown): Definition {
  const members = new Members(file, path, value, 'a map with description and command')
  members.allow(MEMBERS)
  const input = parseInput(file, [...path, 'input'], members.get('input'))
  const cwd = parseFolder(members)
  const inherited = parseAllowed(members) ?? INHERITED
  const variables = parseEnvironment(members, input)
  const run = members.flag('shell')
    ? parseShell(members, input)
    : parseProgram(members, input, cwd, variables)
  const command: Command = {
    ...run,
    description: members.text('description', 'what the worker does, for people'),
    input: input.schema,
    example: members.get('example'),
    inherited,
    variables: [...run.variables, ...variables],
    stdin: parseStdin(members, input),
    cwd,
    output: members.oneOf('output', OUTPUTS) ?? 'text',
    success: parseSuccess(members),
    maxOutput: members.whole('max_output', 1, MAX_MAX_OUTPUT) ?? MAX_OUTPUT,
    killAfter: members.duration('kill_after', 10 * MINUTE_MS, '10m') ?? KILL_AFTER_MS,
    timeout: members.duration('timeout', MAX_TIMEOUT_MS, '24d'),
    maxNumTasks: members.whole('maxNumTasks', 1, 100_000),
    // Its members are those of every worker: they are checked with them.
    retry: members.get('retry') as Command['retry'],
  }
  return { command, warnings: secretsIn(members, command.words, input) }
}

type Run = Pick<Command, 'file' | 'program' | 'subject' | 'words' | 'variables'>

function parseProgram(
  members: Members,
  input: InputSchema,
  cwd: string,
  variables: readonly Variable[],
): Run {
  const { program, words } = parseCommand(members, input)
  const path = constantOf(variables.find(({ name }) => name === 'PATH')?.template)
  const file = findProgram(program, cwd, path ?? process.env.PATH ?? '')
  if (file === undefined) {
    const where = program.includes('/') ? `at ${resolve(cwd, program)}` : 'in PATH'
    throw members.fault('command', `names ${program}, but there is no such program ${where}`, 0)
  }
  return { file, program, subject: program, words, variables: [] }
}

function parseShell(members: Members, input: InputSchema): Run {
  if (members.get('allow_dash') !== undefined) {
    throw members.fault('allow_dash', 'says nothing of a script, which has no words')
  }
  const script = parseScript(members, input)
  const name = String(members.path.at(-1))
  const words = ['-c', script, name].map(
    (word): Word => ({ template: [word], isSpread: false, isGuarded: false }),
  )
  return {
    file: SHELL,
    program: 'sh',
    subject: 'The script',
    words,
    variables: inputVariables(members, input),
  }
}

function parseEnvironment(members: Members, input: InputSchema): Variable[] {
  const value = members.get('env')
  if (value === undefined) return []
  const path = [...members.path, 'env']
  const env = new Members(members.file, path, value, 'values of variables by name')
  return parseVariables(members, env, input)
}

function parseStdin(members: Members, input: InputSchema): Command['stdin'] {
  const value = members.get('stdin')
  if (value === undefined) return 'none'
  const text = members.asText(value, 'json, or a text such as "{{body}}"', 'stdin')
  if (text === 'json') return 'json'
  return parseText(members, input, text, 'stdin')
}

function parseFolder(members: Members): string {
  const value = members.get('cwd') ?? '.'
  const folder = resolve(dirname(members.file.path), members.asText(value, 'a folder', 'cwd'))
  if (isFolder(folder)) return folder
  throw members.fault('cwd', `names ${folder}, which is no folder`)
}

function parseSuccess(members: Members): readonly number[] {
  const what = 'a list of exit codes, from 0 to 255'
  const codes = members.list('success', what) ?? [0]
  const isCode = (code: unknown): code is number =>
    typeof code === 'number' && Number.isInteger(code) && code >= 0 && code <= 255
  if (codes.length === 0 || !codes.every(isCode)) throw members.fault('success', `must be ${what}`)
  return codes
}

function constantOf(template: Template | undefined): string | undefined {
  if (template === undefined || fieldsOf(template).length > 0) return undefined
  return template.join('')
}

/** Every user of a machine sees the arguments of every program on it. */
function secretsIn(members: Members, words: readonly Word[], { fields }: InputSchema): string[] {
  const named = new Set(words.flatMap(({ template }) => fieldsOf(template)))
  return [...named]
    .filter((field) => isSecret(fields.get(field)))
    .map((field) => {
      const place = members.file.place([...members.path, 'command'])
      return `${place}: the secret ${field} is an argument, which every user of the machine can see: give it by env or stdin`
    })
}
