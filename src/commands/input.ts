import type { CommandsFile, Path } from './file.ts'
import { isMap, Members, type Values } from './members.ts'

/** The input of a worker: its schema, and what templates may name. */
export interface InputSchema {
  readonly schema: Values | undefined
  /** The schemas of its fields. */
  readonly fields: ReadonlyMap<string, Values>
}

const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object']

/**
 * The input from a JSON Schema of an object, or from the schemas of its fields alone: those are required
 * unless they have a default. A schema of a field may be no more than the name of its type.
 */
export function parseInput(file: CommandsFile, path: Path, value: unknown): InputSchema {
  if (value === undefined) return { schema: undefined, fields: new Map() }
  const given = new Members(file, path, value, 'a JSON Schema, or the schemas of fields by name')
  if (given.get('type') === 'object' && isMap(value)) return ofSchema(given, value)
  if (isWholeSchema(given)) {
    throw file.fault(path, 'must say type: object, or hold nothing but the schemas of fields')
  }
  return ofFields(given)
}

/** Whether it has what only a whole schema has, and no list of fields by chance. */
function isWholeSchema(given: Members): boolean {
  const properties = given.get('properties')
  const hasFields = isMap(properties) && Object.values(properties).every(isMap)
  const lists = ['required', 'allOf', 'anyOf', 'oneOf'].map((name) => given.get(name))
  return hasFields || given.get('$ref') !== undefined || lists.some(Array.isArray)
}

function ofSchema(given: Members, schema: Values): InputSchema {
  const { properties = {} } = schema
  if (!isMap(properties)) throw given.fault('properties', 'must be schemas by name')
  const fields = Object.entries(properties).map(
    ([name, field]) => [name, isMap(field) ? field : {}] as const,
  )
  return { schema, fields: new Map(fields) }
}

function ofFields(given: Members): InputSchema {
  const fields = new Map<string, Values>()
  for (const name of given.names) {
    const field = given.get(name)
    if (typeof field === 'string' && TYPES.includes(field)) fields.set(name, { type: field })
    else if (isMap(field)) fields.set(name, field)
    else throw given.fault(name, `must be a JSON Schema, or one of ${TYPES.join(', ')}`)
  }
  const required = [...fields].filter(([, field]) => field.default === undefined)
  const schema = {
    type: 'object',
    properties: Object.fromEntries(fields),
    required: required.map(([name]) => name),
  }
  return { schema, fields }
}

/** Whether a schema, or one within it, marks its value as a secret. */
export function isSecret(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  if ('writeOnly' in schema && schema.writeOnly === true) return true
  return Object.values(schema).some(isSecret)
}
