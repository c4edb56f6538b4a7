import {
  fieldsOf,
  parseTemplate,
  spreadOf,
  type Template,
  TemplateFault,
} from '../../workers/command/template.ts'
import type { Variable, Word } from '../../workers/command/words.ts'
import { didYouMean } from '../task/nearest.ts'
import type { Path } from './file.ts'
import type { InputSchema } from './input.ts'
import type { Members } from './members.ts'
import { scriptIn } from './script.ts'

const VARIABLE = /^[A-Za-z_]\w*$/
const COMMAND =
  'a list of words, such as [printf, "%s", "{{name}}"], or one string with shell: true'
/** What the variables that hold the input of a script begin with: no program looks for such. */
const INPUT = 'INPUT_'

/** The words after the program's name, and that name. */
export function parseCommand(
  members: Members,
  input: InputSchema,
): { program: string; words: Word[] } {
  const list = members.list('command', COMMAND)
  if (list === undefined) throw members.file.fault(members.path, `needs command: ${COMMAND}`, 'key')
  const texts = list.map((word, i) => members.asText(word, 'a list of strings', 'command', i))
  const [program = ''] = texts
  if (program === '') throw members.fault('command', 'must begin with the name of a program')
  if (program.includes('{{')) {
    throw members.fault('command', 'may not come from the input: it is the program', 0)
  }
  const script = scriptIn(texts)
  const guards = new Guards(members, input)
  const words: Word[] = []
  for (const [i, text] of texts.entries()) {
    if (i === 0) continue
    const word = parseWord(members, input, text, i)
    if (script?.index === i && fieldsOf(word.template).length > 0) {
      const why = `is a script that ${script.runBy} runs, in which a value could be any command`
      const instead = 'use shell: true, or pass the value as a word after the script'
      throw members.fault('command', `${why}: ${instead}`, i)
    }
    words.push({ ...word, isGuarded: guards.next(word.template) })
  }
  return { program, words }
}

/** A template of a member's value, all of whose fields are the input's. */
export function parseText(
  members: Members,
  input: InputSchema,
  text: string,
  name: string,
  ...further: Path
): Template {
  try {
    const template = parseTemplate(text)
    for (const field of fieldsOf(template)) checkField(members, input, field, name, ...further)
    return template
  } catch (error) {
    if (!(error instanceof TemplateFault)) throw error
    throw members.fault(name, `is no template: ${error.message}`, ...further)
  }
}

/** The variables that `env` sets. */
export function parseVariables(members: Members, env: Members, input: InputSchema): Variable[] {
  return env.names.map((name) => {
    checkVariable(members, name, 'env', name)
    const text = env.asText(env.get(name), 'a string', name)
    return { name, template: parseText(members, input, text, 'env', name) }
  })
}

/** The names that `env_allow` lists. */
export function parseAllowed(members: Members): string[] | undefined {
  const what = 'a list of names of variables'
  return members.list('env_allow', what)?.map((value, i) => {
    const name = members.asText(value, what, 'env_allow', i)
    checkVariable(members, name, 'env_allow', i)
    if (name.startsWith('ERRAND_')) {
      throw members.fault(
        'env_allow',
        `names ${name}: the server's own settings are passed to nobody`,
        i,
      )
    }
    return name
  })
}

/** How a script finds its input: each field in a variable. */
export function inputVariables(members: Members, { fields }: InputSchema): Variable[] {
  const taken = new Map<string, string>()
  return [...fields.keys()].map((field) => {
    const name = inputVariable(field)
    const other = taken.get(name)
    if (other !== undefined) {
      throw members.fault('input', `has ${other} and ${field}, which would both be $${name}`)
    }
    taken.set(name, field)
    return { name, template: [{ field }] }
  })
}

/** The text of a script, which holds no values. */
export function parseScript(members: Members, { fields }: InputSchema): string {
  const script = members.text('command', 'one string, since shell is true')
  if (script.trim() === '') throw members.fault('command', 'is empty')
  for (const [token, field = ''] of script.matchAll(
    /\{\{\s*([A-Za-z_][\w-]*)(?:\.\.\.)?\s*\}\}/g,
  )) {
    if (!fields.has(field)) continue
    const instead = `write "$${inputVariable(field)}", in quotes`
    throw members.fault(
      'command',
      `holds ${token}, but a script is run as it stands, since a value in it could be any command: ${instead}`,
    )
  }
  return script
}

function inputVariable(field: string): string {
  return INPUT + field.toUpperCase().replace(/[^A-Z0-9_]/g, '_')
}

/** Which words a value could turn into options. */
class Guards {
  readonly #allowed: boolean | readonly string[]
  /** Whether the words go on that came right after `--`. */
  #isAfterDashes = false

  constructor(members: Members, input: InputSchema) {
    const value = members.get('allow_dash') ?? false
    if (typeof value === 'boolean') {
      this.#allowed = value
      return
    }
    const what = 'true, false or a list of fields'
    this.#allowed = (members.list('allow_dash', what) ?? []).map((listed, i) => {
      const field = members.asText(listed, what, 'allow_dash', i)
      checkField(members, input, field, 'allow_dash', i)
      return field
    })
  }

  next(template: Template): boolean {
    const [first = ''] = template
    if (typeof first === 'string') {
      // After a word of its own it may belong to another program: env -- rm {{file}}.
      this.#isAfterDashes = first === '--' && template.length === 1
      return false
    }
    if (this.#isAfterDashes) return false
    const allowed = this.#allowed
    if (typeof allowed === 'boolean') return !allowed
    return !fieldsOf(template).every((field) => allowed.includes(field))
  }
}

function parseWord(
  members: Members,
  input: InputSchema,
  text: string,
  index: number,
): Omit<Word, 'isGuarded'> {
  const field = spreadOf(text)
  if (field === undefined) {
    return { template: parseText(members, input, text, 'command', index), isSpread: false }
  }
  checkField(members, input, field, 'command', index)
  if (input.fields.get(field)?.type !== 'array') {
    throw members.fault('command', `has ${text}, but ${field} is not of type array`, index)
  }
  return { template: [{ field }], isSpread: true }
}

function checkField(
  members: Members,
  { fields }: InputSchema,
  field: string,
  name: string,
  ...further: Path
): void {
  if (fields.has(field)) return
  const hint = didYouMean(field, [...fields.keys()])
  throw members.fault(name, `names ${field}, which is no field of input${hint}`, ...further)
}

function checkVariable(members: Members, variable: string, name: string, ...further: Path): void {
  if (VARIABLE.test(variable)) return
  throw members.fault(
    name,
    `names ${JSON.stringify(variable)}, which is no name of a variable`,
    ...further,
  )
}
