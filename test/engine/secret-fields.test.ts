import t from 'tap'
import { Type } from 'typebox'
import { REDACTED } from '../../src/engine/redactor.ts'
import { SecretFields } from '../../src/engine/secret-fields.ts'
import type { Json } from '../../src/task/json.ts'

const marked = { type: 'string', writeOnly: true }

function fieldsOf(schema: unknown): SecretFields {
  const fields = SecretFields.of(JSON.parse(JSON.stringify(schema)))
  if (fields === undefined) throw new Error('nothing is marked')
  return fields
}

t.test('a schema that marks nothing has none', async (t) => {
  t.equal(SecretFields.of({}), undefined)
  t.equal(SecretFields.of({ properties: { writeOnly: { type: 'boolean' } } }), undefined)
  t.equal(SecretFields.of({ default: { writeOnly: true } }), undefined)
})

t.test('a marked member is hidden wherever its schema stands', async (t) => {
  const cases: [name: string, schema: unknown, input: Json, shown: Json, values: string[]][] = [
    [
      'a property',
      Type.Object({ a: Type.String({ writeOnly: true }), b: Type.String() }),
      { a: 's', b: 'p' },
      { a: REDACTED, b: 'p' },
      ['s'],
    ],
    ['the whole', marked, 's', REDACTED, ['s']],
    [
      'an object',
      { properties: { a: { type: 'object', writeOnly: true } } },
      { a: { x: ['s', 5] } },
      { a: REDACTED },
      ['s', '5'],
    ],
    ['items', { items: marked }, ['s', 't'], [REDACTED, REDACTED], ['s', 't']],
    ['prefix items', { prefixItems: [{}, marked] }, ['p', 's'], ['p', REDACTED], ['s']],
    [
      'a pattern',
      { patternProperties: { '^k': marked } },
      { k1: 's', j: 'p' },
      { k1: REDACTED, j: 'p' },
      ['s'],
    ],
    [
      'other members',
      { properties: { a: {} }, additionalProperties: marked },
      { a: 'p', b: 's' },
      { a: 'p', b: REDACTED },
      ['s'],
    ],
    [
      'one of two',
      { anyOf: [{ properties: { a: marked } }, { properties: { a: {} } }] },
      { a: 's' },
      { a: REDACTED },
      ['s'],
    ],
    ['all of', { allOf: [{ properties: { a: marked } }] }, { a: 's' }, { a: REDACTED }, ['s']],
    [
      'a condition',
      { if: { required: ['a'] }, else: { properties: { a: marked } } },
      { a: 's' },
      { a: REDACTED },
      ['s'],
    ],
    [
      'a reference',
      { $defs: { p: marked }, properties: { a: { $ref: '#/$defs/p' } } },
      { a: 's' },
      { a: REDACTED },
      ['s'],
    ],
    [
      'an anchor',
      { $defs: { p: { ...marked, $anchor: 'p' } }, properties: { a: { $ref: '#p' } } },
      { a: 's' },
      { a: REDACTED },
      ['s'],
    ],
    [
      'a recursion',
      { properties: { a: marked, next: { $ref: '#' } } },
      { a: 's', next: { a: 't', next: {} } },
      { a: REDACTED, next: { a: REDACTED, next: {} } },
      ['s', 't'],
    ],
    ['null', { properties: { a: { writeOnly: true } } }, { a: null }, { a: null }, []],
    [
      'a name of every object',
      { properties: { a: marked } },
      { constructor: 'p', a: 's' },
      { constructor: 'p', a: REDACTED },
      ['s'],
    ],
  ]
  for (const [name, schema, input, shown, values] of cases) {
    t.strictSame(fieldsOf(schema).hide(input), shown, name)
    t.strictSame(fieldsOf(schema).values(input), values, name)
  }
})

t.test('a reference to a secret is none', async (t) => {
  const fields = fieldsOf({ properties: { a: marked } })
  t.strictSame(fields.hide({ a: { $secret: 'NAME' } }), { a: { $secret: 'NAME' } })
})
