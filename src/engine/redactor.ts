import type { Json } from '../task/json.ts'
import { isSchemaObject } from './json-schema.ts'

/** What stands in place of a secret. */
export const REDACTED = '[redacted]'
/** A shorter secret is hidden only where it is the whole of a text: it would be found in every other word. */
const MIN_LENGTH = 4
/** A shorter line of a secret of several lines is too common to be looked for by itself. */
const MIN_LINE = 8

/** A pattern of more characters than this may be too large for the engine that compiles it. */
const MAX_PATTERN = 8_192
/** A longer form is looked for by itself. */
const MAX_FORM = 1_024

/**
 * Takes secrets out of what a worker says: as they are, and as they look in JSON, in a URL, in HTML, in
 * hexadecimal and in base64, also in the midst of something else that was encoded, as in `Authorization:
 * Basic`. Of a secret of several lines, such as a private key, each line is one; of a header, so is what
 * follows its scheme.
 */
export class Redactor {
  readonly #long: readonly string[]
  readonly #patterns: readonly RegExp[]
  readonly #short: ReadonlySet<string>

  constructor(secrets: Iterable<string>) {
    const all = [...new Set([...secrets].flatMap(partsOf))].filter((secret) => secret !== '')
    const forms = [...new Set(all.filter(({ length }) => length >= MIN_LENGTH).flatMap(formsOf))]
    // The longest first: one secret may be the beginning of another.
    const sorted = forms
      .filter(({ length }) => length >= MIN_LENGTH)
      .sort((a, b) => b.length - a.length)
    this.#short = new Set(all.filter(({ length }) => length < MIN_LENGTH))
    this.#long = sorted.filter(({ length }) => length > MAX_FORM)
    this.#patterns = toPatterns(sorted.filter(({ length }) => length <= MAX_FORM))
  }

  text(text: string): string {
    return this.#short.has(text) ? REDACTED : this.#hide(text)
  }

  /** A copy without secrets, those in the names of members included. */
  json(value: Json): Json {
    if (typeof value === 'string') return this.text(value)
    if (typeof value === 'number') return this.#number(value)
    if (Array.isArray(value)) return value.map((item) => this.json(item))
    if (!isSchemaObject(value)) return value
    const members = Object.entries(value).map(([name, member]): [string, Json] => [
      this.#hide(name),
      this.json(member),
    ])
    return Object.fromEntries(members)
  }

  #number(value: number): Json {
    const text = String(value)
    return text === this.#hide(text) ? value : REDACTED
  }

  #hide(text: string): string {
    try {
      let shown = text
      for (const form of this.#long) shown = shown.replaceAll(form, REDACTED)
      for (const pattern of this.#patterns) shown = shown.replace(pattern, REDACTED)
      return shown
    } catch {
      // Whatever went wrong, and its message may hold the secret: nothing is shown.
      return REDACTED
    }
  }
}

function toPatterns(forms: readonly string[]): RegExp[] {
  const patterns: RegExp[] = []
  let parts: string[] = []
  let size = 0
  const close = () => {
    if (parts.length > 0) patterns.push(new RegExp(parts.join('|'), 'g'))
    parts = []
    size = 0
  }
  for (const form of forms) {
    const part = RegExp.escape(form)
    if (size + part.length > MAX_PATTERN) close()
    parts.push(part)
    size += part.length + 1
  }
  close()
  return patterns
}

/** A secret and what of it is one by itself. */
function partsOf(secret: string): string[] {
  const text = secret.toWellFormed()
  const lines = text.split(/\r?\n/).filter(({ length }) => length >= MIN_LINE)
  const [, scheme = '', token = ''] =
    /^(Basic|Bearer|Digest|Token|Negotiate) +(\S.*)$/i.exec(text) ?? []
  const parts = [secret, text, text.trim(), ...lines, token]
  if (scheme.toLowerCase() === 'basic') {
    const pair = Buffer.from(token, 'base64').toString()
    parts.push(pair, pair.slice(pair.indexOf(':') + 1))
  }
  for (const [, value = ''] of text.matchAll(/(?:^|;) *[^=;]+=([^;]+)/g)) {
    if (value.length >= MIN_LINE) parts.push(value)
  }
  return parts
}

function formsOf(secret: string): string[] {
  const text = secret.toWellFormed()
  const bytes = Buffer.from(text)
  const json = JSON.stringify(text).slice(1, -1)
  const ascii = json.replace(/[\u0080-\uffff]/g, unicodeEscape)
  const inUrl = encodeURIComponent(text)
  const strictly = inUrl.replace(/[!'()*]/g, percentEscape)
  const html = text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
  const hex = bytes.toString('hex')
  return [
    secret,
    text,
    json,
    json.replaceAll('/', '\\/'),
    ascii,
    ascii.replaceAll('/', '\\/'),
    JSON.stringify(json).slice(1, -1),
    inUrl,
    inUrl.replaceAll('%20', '+'),
    inUrl.replaceAll('%2F', '/'),
    strictly,
    strictly.replace(/%[\dA-F]{2}/g, (code) => code.toLowerCase()),
    html,
    html.replaceAll("'", '&#39;'),
    hex,
    hex.toUpperCase(),
    ...inBase64(bytes),
  ]
}

function unicodeEscape(letter: string): string {
  return `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function percentEscape(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16).toUpperCase()}`
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
