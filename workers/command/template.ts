/** A field of the input, in a text that is otherwise as it stands. */
export interface Field {
  readonly field: string
}

/** A text of a definition: what stands in it, and the fields whose values are put in. */
export type Template = readonly (string | Field)[]

/** Any input of a worker whose schema is an object. */
export type Input = { readonly [field: string]: unknown }

/** Why a text is no template. */
export class TemplateFault extends Error {}

/** `\{{` stands for the characters themselves. */
const TOKEN = /\\\{\{|\{\{([^{}]*)\}\}|\{\{/g
const NAME = /^[A-Za-z_][\w-]*$/
const SPREAD = /^\{\{\s*([A-Za-z_][\w-]*)\.\.\.\s*\}\}$/

/** @throws {@link TemplateFault} */
export function parseTemplate(text: string): Template {
  const parts: (string | Field)[] = []
  let from = 0
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(from, match.index))
    parts.push(match[0] === '\\{{' ? '{{' : fieldOf(match))
    from = match.index + match[0].length
  }
  parts.push(text.slice(from))
  return parts.filter((part) => part !== '')
}

function fieldOf([token, inner]: RegExpExecArray): Field {
  const name = inner?.trim() ?? ''
  if (NAME.test(name)) return { field: name }
  if (SPREAD.test(token)) {
    throw new TemplateFault(`${token} must be a word of its own: it stands for several`)
  }
  throw new TemplateFault(
    `${inner === undefined ? 'a {{ without its }}' : token} names no field; \\{{ stands for the characters themselves`,
  )
}

/** The field of a word that stands for one argument for each element of a list: `{{field...}}`. */
export function spreadOf(text: string): string | undefined {
  return SPREAD.exec(text)?.[1]
}

export function fieldsOf(template: Template): string[] {
  return template.flatMap((part) => (typeof part === 'string' ? [] : [part.field]))
}

/** The text with the values in it, or undefined where the input lacks one of them. */
export function render(template: Template, input: Input): string | undefined {
  let text = ''
  for (const part of template) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    const value = fieldValue(input, part.field)
    if (value === undefined) return undefined
    text += textOf(value)
  }
  return text
}

export function fieldValue(input: Input, field: string): unknown {
  return Object.hasOwn(input, field) ? input[field] : undefined
}

/** A string is itself; anything else is its JSON. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
