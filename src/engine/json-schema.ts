import type { Json } from '../task/json.ts'

/** What the value of a keyword holds: a schema, a list of them, some by name, or none. */
type Holds = 'schema' | 'list' | 'map' | 'none'

/** The keywords of JSON Schema 2020-12, those of OpenAPI, and what the validator reads beside them. */
export const KEYWORDS: ReadonlyMap<string, Holds> = new Map([
  ...named('list', 'allOf anyOf oneOf prefixItems'),
  ...named('map', 'properties patternProperties dependentSchemas $defs definitions dependencies'),
  ...named('schema', 'additionalProperties unevaluatedProperties propertyNames contentSchema'),
  ...named('schema', 'items unevaluatedItems contains not if then else'),
  ...named('none', '$schema $id $anchor $ref $dynamicRef $dynamicAnchor $vocabulary $comment'),
  ...named('none', 'type enum const pattern minLength maxLength multipleOf'),
  ...named('none', 'minimum maximum exclusiveMinimum exclusiveMaximum'),
  ...named('none', 'minItems maxItems uniqueItems minContains maxContains'),
  ...named('none', 'minProperties maxProperties required dependentRequired'),
  ...named('none', 'title description default deprecated readOnly writeOnly examples'),
  ...named('none', 'format contentEncoding contentMediaType'),
  ...named('none', 'formatMinimum formatMaximum formatExclusiveMinimum formatExclusiveMaximum'),
  ...named('none', 'nullable discriminator example externalDocs xml'),
])

export type SchemaObject = { readonly [keyword: string]: Json }

/**
 * A copy of a schema in which `change` has been made to every schema within it and then to itself. What
 * `where` refuses is left as it is, with all that it holds.
 */
export function mapSchemas(
  schema: Json,
  change: (schema: SchemaObject) => SchemaObject,
  where: (keyword: string) => boolean = () => true,
): Json {
  if (!isSchemaObject(schema)) return schema
  const map = (inner: Json) => mapSchemas(inner, change, where)
  const mapped = Object.entries(schema).map(([keyword, value]): [string, Json] => {
    const holds = where(keyword) ? KEYWORDS.get(keyword) : 'none'
    if (holds === 'list' || (holds === 'schema' && Array.isArray(value))) {
      return [keyword, Array.isArray(value) ? value.map(map) : value]
    }
    if (holds === 'schema') return [keyword, map(value)]
    if (holds !== 'map' || !isSchemaObject(value)) return [keyword, value]
    return [keyword, fromEntries(Object.entries(value).map(([name, inner]) => [name, map(inner)]))]
  })
  return change(fromEntries(mapped))
}

/** Every schema within a schema, and itself. */
export function* schemasWithin(schema: Json): Generator<SchemaObject> {
  if (!isSchemaObject(schema)) return
  yield schema
  for (const [keyword, value] of Object.entries(schema)) {
    const holds = KEYWORDS.get(keyword)
    if (holds === 'schema' && !Array.isArray(value)) yield* schemasWithin(value)
    else if (holds !== 'none' && typeof value === 'object' && value !== null)
      for (const inner of Object.values(value)) yield* schemasWithin(inner)
  }
}

/**
 * A schema in which tuples are written as in JSON Schema 2020-12: TypeBox writes them as drafts before it did,
 * as a list in `items` that `additionalItems` closes.
 */
export function withPrefixItems(schema: Json): Json {
  if (![...schemasWithin(schema)].some(({ items }) => Array.isArray(items))) return schema
  return mapSchemas(schema, (inner) => {
    const { items, additionalItems, ...rest } = inner
    if (!Array.isArray(items)) return inner
    return {
      ...rest,
      prefixItems: items,
      ...(additionalItems !== undefined && { items: additionalItems }),
    }
  })
}

/** A schema in which what has a default is not required: it is filled in before anything is checked. */
export function withOptionalDefaults(schema: Json): Json {
  return mapSchemas(schema, (inner) => {
    const { required, properties } = inner
    if (!Array.isArray(required) || !isSchemaObject(properties)) return inner
    const hasDefault = (name: Json) => {
      const property = properties[String(name)]
      return isSchemaObject(property) && property.default !== undefined
    }
    return { ...inner, required: required.filter((name) => !hasDefault(name)) }
  })
}

export function isSchemaObject(value: Json | undefined): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As `Object.fromEntries`, which is typed as one that can be changed. */
function fromEntries(entries: readonly [string, Json][]): SchemaObject {
  return Object.fromEntries(entries)
}

function named(holds: Holds, keywords: string): [string, Holds][] {
  return keywords.split(' ').map((keyword) => [keyword, holds])
}
