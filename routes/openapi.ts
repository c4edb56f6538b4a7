import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { PROBLEM } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The schema of the output that a submit answers with, for the documentation alone. */
    output?: object
  }
}

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
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      ...(hasKey && { security: [{ key: [] }] }),
    },
    hideUntagged: true,
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `schema-${i}`),
    },
    transform: ({ schema, url, route }) => {
      const path =
        app.prefix !== '' && url.startsWith(app.prefix) ? url.slice(app.prefix.length) : url
      return { schema: withOutput(schema ?? {}, route.config?.output), url: path }
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
