import { Type } from 'typebox'
import { once } from '../src/task/once.ts'
import { defineWorker } from '../src/task/worker.ts'
import { CREDENTIAL_PATTERN } from './rest/credentials.ts'

/** undici is loaded when a service is first called. */
const loadCall = once(async () => {
  loaded = await import('./rest/call.ts')
  return loaded
})
let loaded: typeof import('./rest/call.ts') | undefined

const SECRET_VALUES = Type.Unsafe<{ [name: string]: string }>({
  type: 'object',
  additionalProperties: { type: 'string', writeOnly: true },
})
const HEADERS = Type.Unsafe<{ [name: string]: string }>({
  type: 'object',
  patternProperties: { [CREDENTIAL_PATTERN]: { type: 'string', writeOnly: true } },
  additionalProperties: { type: 'string' },
})

export default defineWorker({
  name: 'rest',
  details: {
    description:
      'Calls a REST service over HTTP or HTTPS: follows redirects, keeps cookies on the way, and answers with status, headers, text and JSON.',
    input: Type.Object({
      url: Type.String({
        pattern: '^[hH][tT][tT][pP][sS]?://',
        maxLength: 16_384,
        description: 'Of http or https; a user and a password in it are sent as Basic credentials',
      }),
      method: Type.String({
        pattern: '^[A-Za-z][A-Za-z-]{0,31}$',
        default: 'get',
        description: 'In upper or lower case',
      }),
      data: Type.Optional(
        Type.Unknown({ description: 'The body: a string as it is, anything else as JSON' }),
      ),
      headers: Type.Optional({
        ...HEADERS,
        description: 'Sent with the request; those that hold credentials are not shown again',
      }),
      cookies: Type.Optional({
        ...SECRET_VALUES,
        description: 'Sent to the origin of the URL; their values are not shown again',
      }),
      cacert: Type.Optional(
        Type.String({
          maxLength: 262_144,
          description: 'Certificates in PEM form, trusted beside those that Node trusts',
        }),
      ),
      expected_status_code: Type.Array(Type.Integer({ minimum: 200, maximum: 599 }), {
        minItems: 1,
        maxItems: 400,
        default: [200, 201, 202, 204],
        description: 'Any other status fails the task, with the answer as its output',
      }),
      pass_user_token: Type.Boolean({
        default: false,
        description: "Sends a token of the caller, to this server's own origin only",
      }),
      timeout: Type.Integer({
        minimum: 1,
        maximum: 86_400_000,
        default: 60_000,
        description: 'Milliseconds that all of it may take, redirects included',
      }),
      max_redirects: Type.Integer({
        minimum: 0,
        maximum: 50,
        default: 5,
        description: 'Redirects that are followed',
      }),
    }),
    output: Type.Object({
      status_code: Type.Integer(),
      headers: Type.Unsafe<{ [name: string]: string | string[] | undefined }>({
        type: 'object',
        properties: { 'set-cookie': { type: 'array', items: { type: 'string' } } },
        additionalProperties: { type: 'string' },
        description: 'By their lower-case names',
      }),
      cookies: Type.Record(Type.String(), Type.String(), {
        description: 'Set on the way, and still valid',
      }),
      encoding: Type.String({ description: 'The charset that the body was read by' }),
      text: Type.String({ description: 'The body' }),
      json: Type.Optional(
        Type.Unknown({ description: 'The body, where its content-type says JSON and it is' }),
      ),
    }),
    example: {
      url: 'http://localhost:8888/healthz',
      method: 'get',
      expected_status_code: [200],
      pass_user_token: false,
      timeout: 5_000,
      max_redirects: 5,
    },
  },
  maxNumTasks: 256,
  async perform(input, task) {
    // Even to await what is there takes a turn.
    const { call } = loaded ?? (await loadCall())
    return call(input, task)
  },
})
