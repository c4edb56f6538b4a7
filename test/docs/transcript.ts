import { isDeepStrictEqual } from 'node:util'

/** Stands for what a page leaves out. */
const ANY = '…'
/** Members that name something made while the page is run: the real one takes the place of the one shown. */
const NAMES = new Set(['id', 'TaskId', 'parent', 'restartOf', 'nextCursor'])
const TIMES = new Set([
  'at',
  'createdAt',
  'runAt',
  'startedAt',
  'finishedAt',
  'deadline',
  'expiresAt',
  'answeredAt',
])
const NUMBERS = new Set(['durationMs', 'sleptMs', 'uptimeMs'])
/** Members that depend on the moment, or on the release. */
const IGNORED = new Set(['progress', 'version', 'Duration'])
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/**
 * Compares the answers that a page shows with those that came, and remembers which real id stands for which
 * shown one. CONTRIBUTING.md states the rules.
 */
export class Transcript {
  readonly #real = new Map<string, string>()

  /** The text with every real id in the place of the shown one. */
  substitute(text: string): string {
    let real = text
    for (const [shown, name] of this.#real) real = real.replaceAll(shown, name)
    return real
  }

  /** Why an answer is not the one shown in a block of that language; empty where it is. */
  compare(lang: string, shown: string, answer: string): string[] {
    if (lang === 'json') return this.#compareText(shown, answer)
    return lang === 'http' ? this.#compareHttp(shown, answer) : this.#compareLines(shown, answer)
  }

  #compareHttp(shown: string, answer: string): string[] {
    const [shownHead, shownBody] = splitHead(shown)
    const [head, body] = splitHead(answer)
    // The body first: it says which id the Location names.
    const faults = shownBody === '' ? [] : this.#compareText(shownBody, body)
    const lines = head.map((line) => line.trim().toLowerCase())
    for (const line of shownHead) {
      const expected = this.substitute(line)
      if (!lines.includes(expected.toLowerCase())) {
        faults.push(`no line ${JSON.stringify(expected)} among ${JSON.stringify(head)}`)
      }
    }
    return faults
  }

  #compareLines(shown: string, answer: string): string[] {
    const expected = shown.trim().split('\n')
    const actual = answer.trim().split('\n')
    if (expected.length !== actual.length) {
      return [`${actual.length} lines, not ${expected.length}: ${answer}`]
    }
    return expected.flatMap((line, i) => this.#compareLine(line, actual[i] ?? ''))
  }

  #compareLine(shown: string, line: string): string[] {
    if (shown.startsWith('id: ')) return this.#compareName(shown.slice(4), line.slice(4), 'id')
    const json = /^(data: )?(?=\{)/
    if (json.test(shown)) return this.#compareText(shown.replace(json, ''), line.replace(json, ''))
    return shown === line ? [] : [`the line ${JSON.stringify(line)}, not ${JSON.stringify(shown)}`]
  }

  #compareText(shown: string, answer: string): string[] {
    try {
      return this.#compareJson(JSON.parse(shown), JSON.parse(answer), '')
    } catch (error) {
      return [`no JSON: ${error} in ${answer}`]
    }
  }

  #compareJson(shown: unknown, actual: unknown, path: string): string[] {
    if (shown === ANY) return []
    if (Array.isArray(shown) && Array.isArray(actual))
      return this.#compareLists(shown, actual, path)
    if (isObject(shown) && isObject(actual)) return this.#compareObjects(shown, actual, path)
    const expected = typeof shown === 'string' ? this.substitute(shown) : shown
    if (isDeepStrictEqual(expected, actual)) return []
    return [`${path}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`]
  }

  #compareLists(shown: unknown[], actual: unknown[], path: string): string[] {
    const isOpen = shown.at(-1) === ANY
    const expected = isOpen ? shown.slice(0, -1) : shown
    const fits = isOpen ? actual.length >= expected.length : actual.length === expected.length
    if (!fits) return [`${path}: ${actual.length} elements, not ${expected.length}`]
    return expected.flatMap((element, i) => this.#compareJson(element, actual[i], `${path}/${i}`))
  }

  #compareObjects(
    shown: { [key: string]: unknown },
    actual: { [key: string]: unknown },
    path: string,
  ): string[] {
    const isOpen = ANY in shown
    const keys = new Set([...Object.keys(shown), ...(isOpen ? [] : Object.keys(actual))])
    const faults = [...keys]
      .filter((key) => key !== ANY && !IGNORED.has(key))
      .flatMap((key) => this.#compareMember(key, shown[key], actual[key], `${path}/${key}`))
    const order = Object.keys(actual).filter((key) => key in shown)
    const isInOrder = isDeepStrictEqual(
      order,
      Object.keys(shown).filter((key) => key in actual),
    )
    return isInOrder ? faults : [...faults, `${path}: the order is ${order.join(', ')}`]
  }

  #compareMember(key: string, shown: unknown, actual: unknown, path: string): string[] {
    if (typeof shown === 'string' && typeof actual === 'string') {
      if (NAMES.has(key)) return this.#compareName(shown, actual, path)
      if (TIMES.has(key) && TIME.test(shown) && TIME.test(actual)) return []
    }
    if (NUMBERS.has(key) && Number.isInteger(shown) && Number.isInteger(actual)) return []
    return this.#compareJson(shown, actual, path)
  }

  #compareName(shown: string, actual: string, path: string): string[] {
    const known = this.#real.get(shown)
    if (known === undefined) this.#real.set(shown, actual)
    return known === undefined || known === actual ? [] : [`${path}: ${actual}, not ${known}`]
  }
}

function splitHead(text: string): [head: string[], body: string] {
  const [head = '', ...body] = text.replaceAll('\r\n', '\n').split('\n\n')
  return [head.split('\n').filter((line) => line !== ''), body.join('\n\n').trim()]
}

function isObject(value: unknown): value is { [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
