import type { Json } from '../task/json.ts'
import { isSchemaObject, mapSchemas } from './json-schema.ts'

/** What may stand in place of any text of an input: the name of a secret, read when the task runs. */
export interface SecretRef {
  readonly $secret: string
}

const NAME = '^[A-Za-z_][A-Za-z0-9_.-]{0,127}$'
const REF: Json = {
  type: 'object',
  properties: { $secret: { type: 'string', pattern: NAME } },
  required: ['$secret'],
  additionalProperties: false,
}
/** Keywords under which a schema says what a value is not, or asks about it: there, text stays text. */
const CONDITIONS = ['not', 'if', 'propertyNames', 'contentSchema']

const IS_NAME = new RegExp(NAME)

/** Whether a secret can have that name: it is that of a file too, and must lead nowhere else. */
export function isSecretName(name: string): boolean {
  return IS_NAME.test(name) && !name.includes('..')
}

/** The first name in an input that no secret can have, wherever it stands. */
export function badSecretName(value: Json): string | undefined {
  return [...namesIn(value)].find((name) => !isSecretName(name))
}

export function isSecretRef(value: Json): value is Json & SecretRef {
  if (!isSchemaObject(value)) return false
  return typeof value.$secret === 'string' && Object.keys(value).length === 1
}

/** Whether an input refers to a secret, or tries to. */
export function hasSecretRef(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasSecretRef)
  for (const [name, member] of Object.entries(value)) {
    if (name === '$secret' || hasSecretRef(member)) return true
  }
  return false
}

/** A schema of the same inputs, in which a reference may stand for any text. */
export function acceptingSecretRefs(schema: Json): Json {
  return mapSchemas(
    schema,
    (inner) => {
      if (!acceptsText(inner)) return inner
      // The validator fills in no defaults within alternatives.
      const { default: fallback, ...rest } = inner
      return { ...(fallback !== undefined && { default: fallback }), anyOf: [rest, REF] }
    },
    (keyword) => !CONDITIONS.includes(keyword),
  )
}

/**
 * A copy of an input with its references resolved, and the secrets that were read.
 *
 * @param read rejects where there is no secret of that name
 */
export async function resolveSecretRefs(
  value: Json,
  read: (name: string) => Promise<string>,
): Promise<{ value: Json; secrets: string[] }> {
  const secrets = new Map<string, string>()
  for (const name of namesIn(value)) secrets.set(name, await read(name))
  const resolve = (place: Json): Json => {
    if (isSecretRef(place)) return secrets.get(place.$secret) ?? null
    if (Array.isArray(place)) return place.map(resolve)
    if (!isSchemaObject(place)) return place
    return Object.fromEntries(
      Object.entries(place).map(([name, member]) => [name, resolve(member)]),
    )
  }
  return { value: resolve(value), secrets: [...secrets.values()] }
}

function namesIn(value: Json): Set<string> {
  if (isSecretRef(value)) return new Set([value.$secret])
  if (typeof value !== 'object' || value === null) return new Set()
  return new Set(Object.values(value).flatMap((inner) => [...namesIn(inner)]))
}

function acceptsText({ type }: { readonly [keyword: string]: Json }): boolean {
  return type === 'string' || (Array.isArray(type) && type.includes('string'))
}
