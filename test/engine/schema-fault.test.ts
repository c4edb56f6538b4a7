import { globSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Type } from 'typebox'
import { Registry } from '../../src/engine/registry.ts'
import { worker } from './fixture.ts'

function add(input: object, output: object = {}): void {
  const details = { description: 'w', input, output }
  new Registry().add({ ...worker('w', () => null), details }, 'w.ts')
}

const a = (schema: object) => ({ type: 'object', properties: { a: schema } })

t.test('a fault of a schema is told with its place, in plain words', async (t) => {
  const faults: [input: object, fault: string][] = [
    [
      { type: 'object', property: {} },
      '/property is no keyword of JSON Schema (did you mean properties?)',
    ],
    [
      { ...a({}), requried: ['a'] },
      '/requried is no keyword of JSON Schema (did you mean required?)',
    ],
    [
      a({ maxLenght: 5 }),
      '/properties/a/maxLenght is no keyword of JSON Schema (did you mean maxLength?)',
    ],
    [a({ colour: 5 }), '/properties/a/colour is no keyword of JSON Schema'],
    [
      { anyOf: [{}, { item: {} }] },
      '/anyOf/1/item is no keyword of JSON Schema (did you mean items?)',
    ],
    [
      { items: { not: { mimimum: 1 } } },
      '/items/not/mimimum is no keyword of JSON Schema (did you mean minimum?)',
    ],
    [
      { $defs: { 'b/c': { titel: 'x' } } },
      '/$defs/b~1c/titel is no keyword of JSON Schema (did you mean title?)',
    ],
    [
      { type: 'strnig' },
      '/type must be one of ["array","boolean","integer","null","number","object","string"] (did you mean string?)',
    ],
    [
      a({ type: ['string', 'nul'] }),
      '/properties/a/type/1 must be one of ["array","boolean","integer","null","number","object","string"] (did you mean null?)',
    ],
    [a({ minimum: '1' }), '/properties/a/minimum must be number'],
    [{ ...a({}), required: true }, '/required must be array'],
    [a('string' as unknown as object), '/properties/a must be object or boolean'],
    [a({ pattern: '(' }), '/properties/a/pattern is no regular expression: Unterminated group'],
    [
      { patternProperties: { '[': {} } },
      '/patternProperties is no regular expression: Unterminated character class',
    ],
    [a({ $ref: '#/$defs/none' }), '/properties/a/$ref refers to #/$defs/none, which is not there'],
    [a({ enum: [] }), 'it cannot be used: enum must have non-empty array'],
    [a({ default: 1n }), 'a bigint is not JSON at /properties/a/default'],
    [
      { $schema: 'http://json-schema.org/draft-07/schema#' },
      '/$schema must be https://json-schema.org/draft/2020-12/schema, or left out',
    ],
  ]
  for (const [schema, fault] of faults) {
    const message = (member: string) => `w.ts: details.${member} is no valid JSON Schema: ${fault}.`
    t.throws(() => add(schema), { code: 'invalid-worker', message: message('input') }, fault)
    t.throws(() => add({}, schema), { code: 'invalid-worker', message: message('output') })
  }
})

t.test('a schema may be within itself only by reference', async (t) => {
  const loop: { [keyword: string]: unknown } = { type: 'object' }
  loop.properties = { loop }
  t.throws(() => add(loop), { code: 'invalid-worker', message: /details\.input .*circular/ })
})

t.test('values are no schemas, and names of members no keywords', async (t) => {
  for (const schema of [
    { type: 'object', properties: { property: {}, requried: {} }, required: ['requried'] },
    { patternProperties: { '^titel': {} }, $defs: { colour: {} }, dependentSchemas: { titel: {} } },
    { dependentRequired: { titel: ['colour'] }, dependencies: { titel: ['colour'] } },
    { default: { titel: 1 }, examples: [{ titel: 1 }], example: { titel: 1 } },
    { const: { titel: 1 } },
    { enum: [{ titel: 1 }] },
    { $schema: 'https://json-schema.org/draft/2020-12/schema', $id: 'https://example.com/w' },
  ]) {
    t.doesNotThrow(() => add(schema), JSON.stringify(schema))
  }
})

t.test('what others add to JSON Schema is let be', async (t) => {
  for (const keywords of [
    { 'x-order': 1 },
    { type: 'string', nullable: true, xml: { name: 'a' } },
    { externalDocs: { url: 'https://example.com' }, discriminator: { propertyName: 'kind' } },
    { '~kind': 'String' },
  ]) {
    t.doesNotThrow(() => add(a(keywords)), JSON.stringify(keywords))
  }
  const Node = Type.Cyclic({ Node: Type.Object({ next: Type.Optional(Type.Ref('Node')) }) }, 'Node')
  const types = Type.Object({
    union: Type.Union([Type.Literal('a'), Type.Null()]),
    record: Type.Record(Type.String(), Type.Any()),
    enum: Type.Enum(['a', 'b']),
    intersect: Type.Intersect([Type.Object({ a: Type.Unknown() }), Type.Object({})]),
    template: Type.TemplateLiteral([Type.Literal('a'), Type.String()]),
    refined: Type.Refine(Type.String(), (value) => value !== ''),
    readonly: Type.Readonly(Type.Optional(Type.Array(Type.Integer({ uniqueItems: true })))),
    node: Node,
  })
  t.doesNotThrow(() => add(types, types))
})

t.test('the built-in workers, whose schemas no start checks, pass all of it', async (t) => {
  const cwd = join(import.meta.dirname, '../../workers')
  const files = globSync('*.ts', { cwd })
  t.ok(files.length > 2)
  for (const file of files) {
    const module = new URL(file, `file://${cwd}/`).href
    const { default: definition } = await import(module)
    t.doesNotThrow(() => new Registry().add(definition, file, { module }), file)
  }
})
