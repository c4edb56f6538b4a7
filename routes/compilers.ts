import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fastJson, { type Schema } from 'fast-json-stringify'
import type { FastifyInstance, FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'
import { describe, toFaults } from '../src/engine/faults.ts'
import type { Fault } from '../src/task/errors.ts'
import { once } from '../src/task/once.ts'

/** A request that does not fit its route's schema; Fastify answers it with 400. */
class RequestFault extends Error {
  readonly code = 'FST_ERR_VALIDATION'
  readonly statusCode = 400
  readonly faults: readonly Fault[]

  constructor(part: string, faults: readonly Fault[]) {
    super(`its ${part} is refused: ${describe(faults)}`)
    this.faults = faults
  }
}

const PARTS: { readonly [part: string]: string } = { querystring: 'query', params: 'path' }

/**
 * Has the schemas of this instance's routes checked and serialized by Errand's own compilers.
 *
 * Bodies are checked as they are; queries and paths, which are all text, are coerced to the types of their
 * schemas. Nothing is dropped. Each schema is compiled when it is first needed, and once however many routes
 * share it: a server has some forty routes, and most processes use few of them.
 */
export function useCompilers(app: FastifyInstance): void {
  const strict = newAjv(false)
  const coercing = newAjv(true)
  const validator: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
    if (httpPart === 'headers') return () => true
    const part = PARTS[httpPart ?? 'body'] ?? 'body'
    const check = once(() => (httpPart === 'body' ? strict : coercing).compile(schema))
    return (data: unknown) => {
      const validate = check()
      return validate(data) ? true : { error: new RequestFault(part, toFaults(validate)) }
    }
  }
  const bySchema = new WeakMap<object, (data: unknown) => string>()
  const serializer: FastifySerializerCompiler<object> = ({ schema }) => {
    const known = bySchema.get(schema)
    if (known !== undefined) return known
    // Fastify types the schemas by what they were added as; these are JSON Schemas.
    const write = once(() =>
      fastJson(schema as Schema, { schema: app.getSchemas() as Record<string, Schema> }),
    )
    const serialize = (data: unknown) => write()(data)
    bySchema.set(schema, serialize)
    return serialize
  }
  app.setValidatorCompiler(validator)
  app.setSerializerCompiler(serializer)
}

/** The body of these routes is checked elsewhere: a worker's input, by the engine, whatever door it came by. */
export const checkedByEngine: FastifySchemaCompiler<object> = ({ httpPart }) => {
  if (httpPart !== 'body') throw new Error(`only bodies are checked by the engine, not ${httpPart}`)
  return () => true
}

function newAjv(coerceTypes: boolean): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    coerceTypes,
    useDefaults: true,
    removeAdditional: false,
    addUsedSchema: false,
    verbose: true,
  })
  return formats.default(ajv)
}
