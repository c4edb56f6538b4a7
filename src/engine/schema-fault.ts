import type { ErrorObject } from 'ajv'
import type { Ajv2020 } from 'ajv/dist/2020.js'
import type { Fault } from '../task/errors.ts'
import { type Json, NotJson, toJson } from '../task/json.ts'
import { didYouMean } from '../task/nearest.ts'
import { describe, toFaults, toPointer } from './faults.ts'
import { KEYWORDS } from './json-schema.ts'
import type { Schema } from './worker-definition.ts'

/** Keywords of somebody's own, and marks that TypeBox may leave. */
const EXTENSION = /^(?:x-|~)/

/**
 * Why a value is no JSON Schema, with the place in it, in one line; or undefined where it is one. A keyword
 * that is not known is a fault too: it would be ignored, and with it what its author meant.
 */
export function schemaFault(ajv: Ajv2020, schema: Schema): string | undefined {
  let json: Json
  try {
    json = toJson(schema)
  } catch (error) {
    if (!(error instanceof NotJson)) throw error
    return error.message
  }
  const fault = formFault(ajv, schema) ?? keywordFault(json) ?? compileFault(ajv, schema, json)
  return fault && describe([fault])
}

/** What the schema of schemas finds wrong. */
function formFault(ajv: Ajv2020, schema: Schema): Fault | undefined {
  const { $schema } = schema
  if ($schema !== undefined && ajv.getSchema(String($schema)) === undefined) {
    return {
      path: '/$schema',
      message: 'must be https://json-schema.org/draft/2020-12/schema, or left out',
    }
  }
  ajv.validateSchema(schema)
  const [first, ...others] = ajv.errors ?? []
  if (first === undefined) return undefined
  // Of the alternatives that failed, the one that came farthest is the one that was meant.
  const depth = ({ instancePath }: ErrorObject) => instancePath.split('/').length
  const error = others.reduce((far, other) => (depth(other) > depth(far) ? other : far), first)
  return toFaults({ errors: [error] })[0]
}

function keywordFault(schema: Json): Fault | undefined {
  for (const [place, keyword, value] of keywordsOf(schema, '')) {
    const path = `${place}/${toPointer(keyword)}`
    if (!KEYWORDS.has(keyword) && !EXTENSION.test(keyword)) {
      const hint = didYouMean(keyword, [...KEYWORDS.keys()])
      return { path, message: `is no keyword of JSON Schema${hint}` }
    }
    const patterns = keyword === 'pattern' ? [String(value)] : []
    if (keyword === 'patternProperties') patterns.push(...Object.keys(value ?? {}))
    for (const pattern of patterns) {
      const reason = patternFault(pattern)
      if (reason !== undefined) return { path, message: `is no regular expression: ${reason}` }
    }
  }
  return undefined
}

/** Every keyword of a schema and of the schemas within it, with its place and its value. */
function* keywordsOf(schema: Json, place: string): Generator<[string, string, Json]> {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return
  for (const [keyword, value] of Object.entries(schema)) {
    yield [place, keyword, value]
    const path = `${place}/${toPointer(keyword)}`
    const holds = KEYWORDS.get(keyword)
    if (holds === 'schema') yield* keywordsOf(value, path)
    if (holds === 'list' || holds === 'map') {
      for (const [name, inner] of Object.entries(value ?? {})) {
        yield* keywordsOf(inner, `${path}/${toPointer(name)}`)
      }
    }
  }
}

/** Why a pattern is none, in the words of the engine that would run it. */
function patternFault(pattern: string): string | undefined {
  try {
    new RegExp(pattern, 'u')
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^.*\/u: /s, '') : String(error)
  }
}

/** What is found only when the schema is put to use: references that lead nowhere, for one. */
function compileFault(ajv: Ajv2020, schema: Schema, json: Json): Fault | undefined {
  try {
    ajv.compile(schema)
    return undefined
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if ('missingRef' in error) {
      const lost = [...keywordsOf(json, '')].find(([, , value]) => value === error.missingRef)
      const path = lost === undefined ? '' : `${lost[0]}/${lost[1]}`
      return { path, message: `refers to ${error.missingRef}, which is not there` }
    }
    return { path: '', message: `cannot be used: ${error.message}` }
  }
}
