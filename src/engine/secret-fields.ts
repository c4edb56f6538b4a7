import type { Json } from '../task/json.ts'
import { isSchemaObject, type SchemaObject, schemasWithin } from './json-schema.ts'
import { REDACTED } from './redactor.ts'
import { isSecretRef } from './secret-refs.ts'

/**
 * The members of an input that its schema marks `writeOnly`: they may be sent and are never shown again
 * (JSON Schema 2020-12, validation, section 9.4). Where alternatives (`anyOf`, `if`, …) disagree, a member
 * that one of them marks is secret.
 */
export class SecretFields {
  readonly #schema: SchemaObject
  readonly #patterns = new Map<string, RegExp>()

  private constructor(schema: SchemaObject) {
    this.#schema = schema
  }

  /** Undefined where the schema marks nothing, as most do. */
  static of(schema: Json): SecretFields | undefined {
    return isSchemaObject(schema) && marksAny(schema) ? new SecretFields(schema) : undefined
  }

  /** The input as it may be shown. References to secrets stay: they are none. */
  hide(input: Json): Json {
    return this.#walk(input, [this.#schema], (secret) =>
      secret === null || isSecretRef(secret) ? secret : REDACTED,
    )
  }

  /** Every text and number in the secret members of an input. */
  values(input: Json): string[] {
    const values: string[] = []
    this.#walk(input, [this.#schema], (secret) => {
      collect(secret, values)
      return secret
    })
    return values
  }

  #walk(value: Json, schemas: readonly Json[], onSecret: (secret: Json) => Json): Json {
    const applied = this.#applied(schemas)
    if (applied.length === 0) return value
    if (applied.some(({ writeOnly }) => writeOnly === true)) return onSecret(value)
    if (Array.isArray(value)) {
      return value.map((item, i) => this.#walk(item, itemSchemas(applied, i), onSecret))
    }
    if (!isSchemaObject(value)) return value
    const members = Object.entries(value).map(([name, member]): [string, Json] => [
      name,
      this.#walk(member, this.#memberSchemas(applied, name), onSecret),
    ])
    return Object.fromEntries(members)
  }

  #memberSchemas(applied: readonly SchemaObject[], name: string): Json[] {
    return applied.flatMap((schema) => {
      const found: Json[] = []
      const { properties, patternProperties } = schema
      if (isSchemaObject(properties) && Object.hasOwn(properties, name))
        found.push(properties[name] ?? true)
      if (isSchemaObject(patternProperties)) {
        for (const [pattern, inner] of Object.entries(patternProperties))
          if (this.#pattern(pattern).test(name)) found.push(inner)
      }
      if (found.length > 0) return found
      return [schema.additionalProperties ?? true, schema.unevaluatedProperties ?? true]
    })
  }

  #pattern(pattern: string): RegExp {
    const known = this.#patterns.get(pattern) ?? new RegExp(pattern, 'u')
    this.#patterns.set(pattern, known)
    return known
  }

  /** The schemas themselves and all that they apply to the same place. */
  #applied(schemas: readonly Json[]): SchemaObject[] {
    const applied = new Set<SchemaObject>()
    const add = (schema: Json | undefined) => {
      if (!isSchemaObject(schema) || applied.has(schema)) return
      applied.add(schema)
      if (typeof schema.$ref === 'string') add(this.#referred(schema.$ref))
      for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
        const list = schema[keyword]
        if (Array.isArray(list)) for (const inner of list) add(inner)
      }
      for (const keyword of ['if', 'then', 'else']) add(schema[keyword])
      if (isSchemaObject(schema.dependentSchemas))
        for (const inner of Object.values(schema.dependentSchemas)) add(inner)
    }
    for (const schema of schemas) add(schema)
    return [...applied]
  }

  /** What a reference within the schema leads to, by pointer (RFC 6901) or by name. */
  #referred(ref: string): Json | undefined {
    if (!ref.startsWith('#')) return named(this.#schema, '$id', ref)
    if (ref !== '#' && !ref.startsWith('#/')) return named(this.#schema, '$anchor', ref.slice(1))
    let place: Json | undefined = this.#schema
    for (const part of ref.split('/').slice(1)) {
      const name = decodeURIComponent(part).replace(/~1/g, '/').replace(/~0/g, '~')
      if (Array.isArray(place)) place = place[Number(name)]
      else place = isSchemaObject(place) ? place[name] : undefined
    }
    return place
  }
}

function itemSchemas(applied: readonly SchemaObject[], index: number): Json[] {
  return applied.flatMap(({ prefixItems, items, contains, unevaluatedItems }) => {
    const prefix = Array.isArray(prefixItems) ? prefixItems[index] : undefined
    return [prefix ?? items ?? unevaluatedItems ?? true, contains ?? true]
  })
}

function marksAny(schema: Json): boolean {
  return [...schemasWithin(schema)].some(({ writeOnly }) => writeOnly === true)
}

function named(schema: Json, keyword: string, name: string): SchemaObject | undefined {
  return [...schemasWithin(schema)].find((inner) => inner[keyword] === name)
}

function collect(value: Json, into: string[]): void {
  if (typeof value === 'string') into.push(value)
  else if (typeof value === 'number') into.push(String(value))
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) collect(inner, into)
}
