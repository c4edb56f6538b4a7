import { readFile } from 'node:fs/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { openapiYaml } from '../../src/openapi-yaml.ts'
import { echo, failing, Gate, makeApp } from '../app.ts'

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

interface Media {
  [type: string]: { schema?: Schema; example?: unknown; examples?: unknown }
}
interface Schema {
  $ref?: string
  properties?: { [name: string]: Schema }
  examples?: unknown[]
  [keyword: string]: unknown
}
interface Operation {
  operationId: string
  summary?: string
  tags?: string[]
  security?: object[]
  parameters?: { name: string; in: string; required?: boolean }[]
  requestBody?: { content: Media }
  responses: { [status: string]: { description?: string; content?: Media } }
}
interface Document {
  openapi: string
  info: { title: string; version: string }
  servers?: { url: string }[]
  security?: object[]
  paths: { [path: string]: { [method: string]: Operation } }
  components: { schemas: { [name: string]: Schema }; securitySchemes: object }
}

type Options = NonNullable<Parameters<typeof makeApp>[1]>

async function documentOf(t: Test, options: Options): Promise<Document> {
  const app = await makeApp(t, options)
  const response = await app.inject('/openapi.json')
  t.equal(response.statusCode, 200)
  t.match(response.headers['content-type'], /^application\/json/)
  return response.json<Document>()
}

function operations(document: Document): { path: string; method: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => METHODS.includes(method))
      .map(([method, operation]) => ({ path, method, operation })),
  )
}

/** Every `$ref` in a document. */
function refs(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) =>
    key === '$ref' && typeof member === 'string' ? [member] : refs(member),
  )
}

/** What a local reference points to. */
function resolve(document: object, ref: string): unknown {
  if (!ref.startsWith('#/')) return undefined
  let at: unknown = document
  for (const part of ref.slice(2).split('/')) {
    const key = decodeURIComponent(part).replace(/~1/g, '/').replace(/~0/g, '~')
    at = (at as { [key: string]: unknown } | undefined)?.[key]
  }
  return at
}

t.test('the document is one of OpenAPI 3.1', async (t) => {
  const document = await documentOf(t, { builtins: true, workers: [echo, failing] })
  t.match(document.openapi, /^3\.1\.\d+$/)
  t.match(document.info, { title: 'Errand', version: /^\d+\.\d+\.\d+/ })
  const all = operations(document)
  t.ok(all.length > 30)
  for (const { path, method, operation } of all) {
    const name = `${method} ${path}`
    t.match(operation.operationId, /^[\w-]+$/, name)
    t.type(operation.summary, 'string', name)
    t.ok((operation.tags?.length ?? 0) > 0, name)
    const placeholders = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
    t.strictSame(declared.map((parameter) => parameter.name).sort(), placeholders.sort(), name)
    t.ok(
      declared.every(({ required }) => required === true),
      name,
    )
    for (const [status, response] of Object.entries(operation.responses)) {
      t.match(status, /^([1-5]\d\d|[1-5]XX|default)$/, `${name}: ${status}`)
      t.type(response.description, 'string', name)
    }
  }
})

t.test('every operationId is its operation’s own', async (t) => {
  const document = await documentOf(t, { builtins: true, workers: [echo, failing] })
  const ids = operations(document).map(({ operation }) => operation.operationId)
  t.strictSame(ids.toSorted(), [...new Set(ids)].toSorted())
})

t.test('every reference resolves, and every schema is one of JSON Schema', async (t) => {
  const document = await documentOf(t, { builtins: true, workers: [echo] })
  const all = refs(document)
  t.ok(all.length > 50)
  for (const ref of new Set(all)) t.type(resolve(document, ref), 'object', ref)
  const ajv = formats.default(new Ajv2020({ strict: false }))
  ajv.addSchema(document, 'document')
  for (const name of Object.keys(document.components.schemas)) {
    const $ref = `document#/components/schemas/${name}`
    t.doesNotThrow(() => ajv.compile({ $ref }), name)
  }
})

t.test('each worker has an operation of its own, with its body, example and output', async (t) => {
  const document = await documentOf(t, { workers: [echo, failing], gates: [new Gate()] })
  const ids = new Set<string>()
  for (const name of ['echo', 'failing', 'gate']) {
    const operation = document.paths[`/workers/${name}`]?.post
    if (operation === undefined) throw new Error(`no operation of ${name}`)
    ids.add(operation.operationId)
    const batch = document.paths[`/workers/${name}/batch`]?.post
    t.match(batch?.requestBody?.content['application/json']?.schema, {
      type: 'array',
      maxItems: 1_000,
    })
    const parameters = operation.parameters?.map((parameter) => parameter.name) ?? []
    for (const wanted of ['wait', 'priority', 'retry', 'prefer', 'idempotency-key'])
      t.ok(parameters.includes(wanted), `${name}: ${wanted}`)
  }
  t.equal(ids.size, 3)
  const submit = document.paths['/workers/echo']?.post
  const media = submit?.requestBody?.content['application/json']
  const body = media?.schema ?? {}
  t.match(body, { type: 'object', required: ['text'], additionalProperties: false })
  t.strictSame(media?.example ?? body.examples, { text: 'hello', times: 2 })
  t.ok(new Ajv2020({ strict: false }).validate(body, { text: 'hello', times: 2 }))
  const settled = submit?.responses['200']?.content?.['application/json']?.schema
  t.match(JSON.stringify(settled), '"output":{"type":"object"')
  t.ok(submit?.responses['202'])
})

t.test('problems are documented at every operation of Errand’s own', async (t) => {
  const document = await documentOf(t, { workers: [echo] })
  for (const { path, method, operation } of operations(document)) {
    if (path.startsWith('/tasky/')) continue
    const problem = operation.responses['4XX']?.content?.['application/problem+json']?.schema
    t.equal(problem?.$ref, '#/components/schemas/Problem', `${method} ${path}`)
  }
})

t.test('the key is asked for where there is one, but not of the probes', async (t) => {
  const open = await documentOf(t, { workers: [echo] })
  t.equal(open.security, undefined)
  const app = await makeApp(t, { workers: [echo], apiKey: 'a-long-enough-key' })
  const headers = { authorization: 'Bearer a-long-enough-key' }
  const closed = (await app.inject({ url: '/openapi.json', headers })).json<Document>()
  t.strictSame(closed.security, [{ key: [] }])
  t.match(closed.components.securitySchemes, { key: { type: 'http', scheme: 'bearer' } })
  for (const probe of ['/healthz', '/readyz'])
    t.strictSame(closed.paths[probe]?.get?.security, [], probe)
})

t.test('Swagger UI shows it', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const page = await app.inject('/docs/')
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.match((await app.inject('/docs/json')).json(), { openapi: /^3\.1/, paths: { '/workers': {} } })
})

t.test('openapi.yaml is what the server says: if not, npm run openapi', async (t) => {
  const file = await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8')
  t.equal(file, await openapiYaml())
  t.match(Object.keys(parse(file).paths), ['/workers'])
})
