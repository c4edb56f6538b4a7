import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { PROBLEM } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The schema of the output that a submit answers with, for the documentation alone. */
    output?: object
    /** Whether a submit may leave the body out, for the documentation alone. */
    isBodyOptional?: boolean
  }
}

/** Marks an operation between the two steps of its description. */
const BODY_OPTIONAL = 'x-body-optional'

const STATUS_TEXT: { readonly [status: string]: string } = {
  200: 'Done',
  202: 'Accepted: the task goes on',
  204: 'Done',
}

const problem = {
  description: 'A problem (RFC 9457): look at its code',
  content: { [PROBLEM]: { schema: Type.Ref('Problem#') } },
}

/** The responses of a route: those given, by status, and problems. */
export function responses(schemas: { readonly [status: number]: TSchema }): object {
  const described = Object.entries(schemas).map(([status, schema]) => [
    status,
    { description: STATUS_TEXT[status] ?? 'Done', content: { 'application/json': { schema } } },
  ])
  return { ...Object.fromEntries(described), '4xx': problem, '5xx': problem }
}

/** An event stream, in the documentation; it is written as it comes, not serialized. */
export function streams(mediaType: string, description: string): object {
  return {
    200: { description, content: { [mediaType]: { schema: Type.String() } } },
    '4xx': problem,
    '5xx': problem,
  }
}

/** Collects the routes that are registered from now on into an OpenAPI 3.1 document. */
export async function describeApi(
  app: FastifyInstance,
  version: string,
  hasKey: boolean,
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Errand',
        version,
        description:
          'A task API for a machine or a container. Submit a task to a worker; wait for it, watch it, cancel it.',
      },
      ...(app.prefix !== '' && { servers: [{ url: app.prefix }] }),
      tags: [
        { name: 'Workers', description: 'What can be done, and submitting it' },
        { name: 'Tasks', description: 'What was submitted, and what became of it' },
        { name: 'Events', description: 'Every change, as it happens' },
        { name: 'Operations', description: 'Probes' },
        { name: 'Go-Tasky', description: 'The wire format of Go-Tasky' },
      ],
      ...(hasKey && {
        components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
        security: [{ key: [] }],
      }),
    },
    hideUntagged: true,
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `schema-${i}`),
    },
    transform: ({ schema, url, route }) => {
      const isBelow = app.prefix !== '' && url.startsWith(app.prefix)
      const described = withOutput(schema ?? {}, route.config?.output)
      const isOptional = route.config?.isBodyOptional === true && route.method === 'POST'
      return {
        schema: isOptional ? { ...described, [BODY_OPTIONAL]: true } : described,
        url: isBelow ? url.slice(app.prefix.length) : url,
      }
    },
    transformObject: (document) => {
      const described = 'openapiObject' in document ? document.openapiObject : {}
      for (const path of Object.values(described.paths ?? {})) relaxBody(path?.post)
      return described
    },
  })
}

/** The answer to a submit, with the worker's own output in place of any. */
function withOutput<S extends { response?: unknown }>(schema: S, output: object | undefined): S {
  if (output === undefined) return schema
  const answer = { allOf: [{ $ref: 'SettledTask#' }, { type: 'object', properties: { output } }] }
  const settled = {
    description: STATUS_TEXT[200],
    content: { 'application/json': { schema: answer } },
  }
  return { ...schema, response: { ...(schema.response as object), 200: settled } }
}

/** Every body is said to be required; that of an input without required members is not. */
function relaxBody(operation: object | undefined): void {
  if (operation === undefined || !(BODY_OPTIONAL in operation)) return
  delete operation[BODY_OPTIONAL]
  if ('requestBody' in operation)
    Object.assign(operation.requestBody as object, { required: false })
}
