import type { Json } from '../task/json.ts'
import { isSchemaObject } from './json-schema.ts'

/** What stands in place of a secret. */
export const REDACTED = '[redacted]'
/** A shorter secret is hidden only where it is the whole of a text: it would be found in every other word. */
const MIN_LENGTH = 4
/** A shorter line of a secret of several lines is too common to be looked for by itself. */
const MIN_LINE = 8

/**
 * Takes secrets out of what a worker says: as they are, and as they look in JSON, in a URL, in hexadecimal and
 * in base64, also in the midst of something else that was encoded, as in `Authorization: Basic`. Of a secret
 * of several lines, such as a private key, each line is one.
 */
export class Redactor {
  readonly #pattern: RegExp | undefined
  readonly #short: ReadonlySet<string>

  constructor(secrets: Iterable<string>) {
    const all = [...new Set(secrets)].filter((secret) => secret !== '')
    const long = all.filter(({ length }) => length >= MIN_LENGTH)
    const lines = long.flatMap((secret) => secret.split(/\r?\n/))
    const parts = [...long, ...lines.filter(({ length }) => length >= MIN_LINE)]
    const forms = [...new Set(parts.flatMap(formsOf))].filter(({ length }) => length >= MIN_LENGTH)
    // The longest first: one secret may be the beginning of another.
    forms.sort((a, b) => b.length - a.length)
    this.#short = new Set(all.filter(({ length }) => length < MIN_LENGTH))
    this.#pattern =
      forms.length === 0
        ? undefined
        : new RegExp(forms.map((form) => RegExp.escape(form)).join('|'), 'g')
  }

  text(text: string): string {
    if (this.#short.has(text)) return REDACTED
    return this.#pattern === undefined ? text : text.replace(this.#pattern, REDACTED)
  }

  /** A copy without secrets, those in the names of members included. */
  json(value: Json): Json {
    if (typeof value === 'string') return this.text(value)
    if (typeof value === 'number') return this.#number(value)
    if (Array.isArray(value)) return value.map((item) => this.json(item))
    if (!isSchemaObject(value)) return value
    const members = Object.entries(value).map(([name, member]): [string, Json] => [
      this.text(name),
      this.json(member),
    ])
    return Object.fromEntries(members)
  }

  #number(value: number): Json {
    const text = String(value)
    return text === this.text(text) ? value : REDACTED
  }
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const inUrl = encodeURIComponent(secret)
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    inUrl,
    inUrl.replaceAll('%20', '+'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...inBase64(bytes),
  ]
}

/**
 * Base64 (RFC 4648) of a secret wherever it stands in what was encoded: by the three places that its first
 * byte can have in a group, less the characters that its neighbours share.
 */
function inBase64(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const isWhole = (offset + bytes.length) % 3 === 0
    const inner = encoded.slice(Math.ceil((offset * 8) / 6), isWhole ? undefined : -1)
    // What is left of a short secret may be too little to tell it by.
    return inner.length < 6 ? [] : [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]
  })
}
