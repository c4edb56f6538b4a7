import type { NormalizedSchema } from '@smithy/core/schema'
import { didYouMean } from '../../src/task/nearest.ts'
import { TaskError } from '../../src/task/worker.ts'
import { isBody, isEventStream, requiredOf } from './schema.ts'

/** Faults that are told at once. */
const MAX_FAULTS = 10
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?<zone>Z|[+-]\d\d:?\d\d)?)?$/i

interface Members {
  readonly [name: string]: unknown
}

/**
 * The input of a command from parameters of JSON: times and bytes as the SDK has them, and everything checked
 * against what the operation takes.
 *
 * @param token for the member that tells a repeated request from a new one, where there is one and it is
 * not given
 * @throws {@link TaskError} `invalid-parameters`
 */
export function toParameters(parameters: object, schema: NormalizedSchema, token: string): object {
  const reader = new Reader()
  const given = { ...tokens(schema, token), ...parameters }
  const input = reader.structure(schema, given, 'parameters')
  const { faults } = reader
  if (faults.length === 0) return input
  const more = faults.length > MAX_FAULTS ? ` And ${faults.length - MAX_FAULTS} more.` : ''
  throw new TaskError('invalid-parameters', `${faults.slice(0, MAX_FAULTS).join(' ')}${more}`, {
    retryable: false,
  })
}

function tokens(schema: NormalizedSchema, token: string): { [name: string]: string } {
  if (!schema.isStructSchema()) return {}
  const members = [...schema.structIterator()]
  return Object.fromEntries(
    members.filter(([, member]) => member.isIdempotencyToken()).map(([name]) => [name, token]),
  )
}

/** Reads values of JSON as a schema has them, and notes what does not fit. */
class Reader {
  readonly faults: string[] = []

  structure(schema: NormalizedSchema, value: unknown, path: string): Members {
    if (!isMembers(value)) return this.#fault(path, 'must be an object', {})
    // An operation that takes nothing has no structure.
    const members = schema.isStructSchema() ? new Map(schema.structIterator()) : new Map()
    const known = [...members.keys()]
    const read: { [name: string]: unknown } = {}
    for (const [name, given] of Object.entries(value)) {
      const member = members.get(name)
      if (member !== undefined) read[name] = this.#read(member, given, `${path}.${name}`)
      else this.#fault(`${path}.${name}`, `is not known${didYouMean(name, known)}`, undefined)
    }
    for (const name of requiredOf(schema)) {
      if (!Object.hasOwn(value, name)) this.#fault(`${path}.${name}`, 'is missing', undefined)
    }
    if (schema.isUnionSchema() && Object.keys(value).length !== 1) {
      this.#fault(path, `must have one member, of ${known.join(', ')}`, undefined)
    }
    return read
  }

  #read(schema: NormalizedSchema, value: unknown, path: string): unknown {
    if (schema.isDocumentSchema()) return value
    if (value === null) return this.#fault(path, 'is null: leave it out', undefined)
    if (isEventStream(schema)) {
      return this.#fault(path, 'is a stream of events, which a task cannot send', undefined)
    }
    if (schema.isStructSchema()) return this.structure(schema, value, path)
    if (schema.isListSchema()) return this.#list(schema, value, path)
    if (schema.isMapSchema()) return this.#map(schema, value, path)
    if (schema.isTimestampSchema()) return this.#time(value, path)
    if (schema.isBlobSchema()) return this.#bytes(value, path, isBody(schema))
    if (schema.isStringSchema()) return this.#a('string', value, path)
    if (schema.isBooleanSchema()) return this.#a('boolean', value, path)
    if (schema.isNumericSchema()) return this.#a('number', value, path)
    if (schema.isBigIntegerSchema()) return this.#integer(value, path)
    return value
  }

  #list(schema: NormalizedSchema, value: unknown, path: string): unknown {
    if (!Array.isArray(value)) return this.#fault(path, 'must be a list', undefined)
    const element = schema.getValueSchema()
    return value.map((one, i) => this.#element(schema, element, one, `${path}[${i}]`))
  }

  #map(schema: NormalizedSchema, value: unknown, path: string): unknown {
    if (!isMembers(value)) return this.#fault(path, 'must be an object', undefined)
    const element = schema.getValueSchema()
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [
        key,
        this.#element(schema, element, one, `${path}[${JSON.stringify(key)}]`),
      ]),
    )
  }

  #element(
    list: NormalizedSchema,
    schema: NormalizedSchema,
    value: unknown,
    path: string,
  ): unknown {
    if (value === null && list.getMergedTraits().sparse === 1) return null
    return this.#read(schema, value, path)
  }

  #a(type: 'string' | 'boolean' | 'number', value: unknown, path: string): unknown {
    return typeof value === type ? value : this.#fault(path, `must be a ${type}`, undefined)
  }

  #integer(value: unknown, path: string): unknown {
    if (Number.isSafeInteger(value) || /^-?\d{1,1000}$/.test(String(value))) {
      return BigInt(String(value))
    }
    return this.#fault(path, 'must be an integer, or a text of its digits', undefined)
  }

  #time(value: unknown, path: string): unknown {
    const time = typeof value === 'number' ? new Date(value * 1_000) : parseTime(value)
    if (time !== undefined && !Number.isNaN(time.getTime())) return time
    const forms = 'a time of ISO 8601 (2026-01-31T12:00:00Z) or seconds since 1970'
    return this.#fault(path, `must be ${forms}`, undefined)
  }

  #bytes(value: unknown, path: string, isText: boolean): unknown {
    if (isText && typeof value === 'string') return Buffer.from(value)
    const encoded = isMembers(value) && Object.keys(value).length === 1 ? value.$base64 : value
    if (typeof encoded === 'string' && BASE64.test(encoded)) return Buffer.from(encoded, 'base64')
    const forms = isText ? 'a text, or bytes as { "$base64": "…" }' : 'bytes in base64'
    return this.#fault(path, `must be ${forms}`, undefined)
  }

  #fault<T>(path: string, what: string, instead: T): T {
    this.faults.push(`${path} ${what}.`)
    return instead
  }
}

function parseTime(value: unknown): Date | undefined {
  const match = typeof value === 'string' ? TIME.exec(value) : null
  if (match === null) return undefined
  // Without a zone it is UTC, and not the time of the place where the server happens to run.
  const isLocal = match[0].length > 10 && match.groups?.zone === undefined
  return new Date(isLocal ? `${match[0]}Z` : match[0])
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
