import { TaskError } from '../../src/task/worker.ts'
import { fieldsOf, fieldValue, type Input, render, type Template, textOf } from './template.ts'

/** One word of a command. */
export interface Word {
  readonly template: Template
  /** Whether it stands for an argument for each element of the list that its only field holds. */
  readonly isSpread: boolean
  /** Whether a value could turn it into an option, and so may not begin with a dash. */
  readonly isGuarded: boolean
}

/** A variable that is set for the program. */
export interface Variable {
  readonly name: string
  readonly template: Template
}

/**
 * The arguments that words stand for. A word is one argument whatever the values hold; one that lacks a value
 * is left out.
 *
 * @throws {@link TaskError} `invalid-input`
 */
export function argumentsOf(words: readonly Word[], input: Input): string[] {
  const found: string[] = []
  for (const word of words) {
    for (const text of textsOf(word, input)) {
      if (word.isGuarded && text.startsWith('-')) throw likeAnOption(word)
      found.push(passable(text, word.template))
    }
  }
  return found
}

/** @throws {@link TaskError} `invalid-input` */
export function variablesOf(
  variables: readonly Variable[],
  input: Input,
): { [name: string]: string } {
  const found: { [name: string]: string } = {}
  for (const { name, template } of variables) {
    const text = render(template, input)
    if (text !== undefined) found[name] = passable(text, template)
  }
  return found
}

function textsOf({ template, isSpread }: Word, input: Input): string[] {
  const [only] = template
  if (isSpread && typeof only === 'object') {
    const list = fieldValue(input, only.field)
    return Array.isArray(list) ? list.map(textOf) : []
  }
  const text = render(template, input)
  return text === undefined ? [] : [text]
}

/** No program can be given a NUL byte: it ends the argument. */
function passable(text: string, template: Template): string {
  if (!text.includes('\0')) return text
  throw refused(template, 'holds a NUL character, which no program can be given')
}

function likeAnOption({ template }: Word): TaskError {
  return refused(
    template,
    'begins with a dash, and the program would take it for an option; the definition of the worker can allow it',
  )
}

function refused(template: Template, fault: string): TaskError {
  // The value is not shown: it may be a secret.
  const fields = fieldsOf(template)
    .map((field) => `/${field}`)
    .join(' with ')
  return new TaskError('invalid-input', `The input is refused: ${fields} ${fault}.`, {
    retryable: false,
  })
}
