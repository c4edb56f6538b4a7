import t from 'tap'
import { Type } from 'typebox'
import { Registry } from '../../src/engine/registry.ts'
import { ErrandError } from '../../src/task/errors.ts'
import { worker } from './fixture.ts'

function registryOf(input: object, output: object = {}): Registry {
  const registry = new Registry()
  registry.add(
    { ...worker('w', () => null), details: { description: 'w', input, output } },
    'worker w',
  )
  return registry
}

t.test('a malformed definition is refused with its source and its fault', async (t) => {
  const good = worker('good', () => null)
  const faults: [unknown, RegExp][] = [
    [undefined, /no object/],
    [[], /no object/],
    [{ ...good, name: 'Bad' }, /name must match/],
    [{ ...good, name: 'x'.repeat(65) }, /name must match/],
    [{ ...good, name: 1 }, /name must match/],
    [{ ...good, details: undefined }, /details/],
    [{ ...good, details: { description: 1 } }, /description/],
    [{ ...good, perform: 'run' }, /perform/],
    [{ ...good, details: { description: '', input: 'string' } }, /details.input/],
    [
      { ...good, details: { description: '', input: { type: 'strnig' } } },
      /details.input is no valid JSON Schema/,
    ],
    [
      { ...good, details: { description: '', output: { minimum: 'x' } } },
      /details.output is no valid JSON Schema/,
    ],
    [
      { ...good, details: { description: '', input: { type: 'integer' }, example: 'x' } },
      /example does not fit/,
    ],
    [{ ...good, details: { description: '', example: () => 1 } }, /example/],
    [{ ...good, maxNumTasks: 0 }, /maxNumTasks/],
    [{ ...good, maxNumTasks: 1.5 }, /maxNumTasks/],
    [{ ...good, timeout: -1 }, /timeout/],
    [{ ...good, timeout: 2 ** 31 }, /timeout/],
    [{ ...good, retry: 3 }, /retry must be an object/],
    [{ ...good, retry: { tries: 3 } }, /retry.tries is not known/],
    [{ ...good, retry: { jitter: 2 } }, /retry.jitter/],
    [{ ...good, isolate: 'process' }, /isolate/],
    [{ ...good, isolate: 'thread' }, /file of its own/],
    [{ ...good, signal: true }, /signal/],
    [{ ...good, performm: () => 1 }, /performm is not known \(did you mean perform\?\): name, /],
    [{ ...good, maxNumTask: 1 }, /maxNumTask is not known \(did you mean maxNumTasks\?\)/],
    [{ ...good, colour: 'red' }, /colour is not known: name, /],
    [
      { ...good, details: { descripton: 'w' } },
      /details\.descripton is not known \(did you mean description\?\): description, /,
    ],
    [{ ...good, retry: { delay: 3 } }, /retry\.delay is not known \(did you mean delayMs\?\)/],
    [{ ...good, status: 'enabled' }, /status/],
  ]
  for (const [definition, message] of faults) {
    const add = () => new Registry().add(definition, 'workers/bad.ts')
    t.throws(add, { code: 'invalid-worker', message })
    t.throws(add, /^workers\/bad\.ts: /)
  }
  const registry = new Registry()
  registry.add(good, 'one.ts')
  t.throws(() => registry.add(good, 'two.ts'), /two\.ts: the name "good" is taken by one\.ts/)
})

t.test('a plain list of properties is closed; what speaks of others is left alone', async (t) => {
  const parse = (schema: object, value: unknown) => registryOf(schema).parseInput('w', value)
  const properties = { a: { type: 'string' } }
  t.throws(() => parse({ type: 'object', properties }, { a: 'x', b: 1 }), {
    code: 'invalid-input',
    faults: [{ path: '/b', message: 'is not known here' }],
  })
  t.same(parse({ type: 'object', properties, additionalProperties: true }, { b: 1 }), { b: 1 })
  t.same(parse({ type: 'object', properties, patternProperties: { '^x-': {} } }, { b: 1 }), {
    b: 1,
  })
  t.same(parse({ type: 'object', properties, allOf: [{ properties: { b: {} } }] }, { b: 1 }), {
    b: 1,
  })
  t.same(parse({}, [1, null]), [1, null])
})

t.test('a misspelt member is refused with the one that was meant', async (t) => {
  const nested = Type.Object(
    { value: Type.Optional(Type.Integer()) },
    { additionalProperties: false },
  )
  const registry = registryOf({
    type: 'object',
    properties: {
      name: { type: 'string' },
      colour: { enum: ['red', 'green'] },
      node: { $ref: '#/$defs/node' },
    },
    required: ['name'],
    $defs: {
      node: { ...nested, properties: { ...nested.properties, next: { $ref: '#/$defs/node' } } },
    },
  })
  const faultsOf = (input: unknown) => {
    try {
      return registry.parseInput('w', input) && undefined
    } catch (error) {
      return error instanceof ErrandError ? error.faults : error
    }
  }
  const required = { path: '/name', message: 'is required' }
  t.strictSame(faultsOf({ nmae: 'Ada' }), [
    { path: '/nmae', message: 'is not known here (did you mean name?)' },
    required,
  ])
  t.strictSame(faultsOf({ unlike: 'Ada' }), [required])
  t.strictSame(faultsOf({ name: 'Ada', color: 'red' }), [
    { path: '/color', message: 'is not known here (did you mean colour?)' },
  ])
  t.strictSame(faultsOf({ name: 'Ada', node: { next: { vlaue: 1 } } }), [
    { path: '/node/next/vlaue', message: 'is not known here (did you mean value?)' },
  ])
  t.strictSame(faultsOf({ name: 'Ada', colour: 'gren' }), [
    { path: '/colour', message: 'must be one of ["red","green"] (did you mean green?)' },
  ])
})

t.test('an input is copied, filled with defaults, never coerced, and never cut', async (t) => {
  const registry = registryOf(
    Type.Object({ n: Type.Integer(), port: Type.Optional(Type.Integer({ default: 22 })) }),
  )
  const given = { n: 1 }
  t.same(registry.parseInput('w', given), { n: 1, port: 22 })
  t.same(given, { n: 1 })
  for (const value of [{ n: '1' }, { n: 1.5 }, { n: null }, {}, [], 'x', null, undefined, 1]) {
    t.throws(
      () => registry.parseInput('w', value),
      { code: 'invalid-input' },
      JSON.stringify(value),
    )
  }
  t.throws(() => registry.parseInput('w', { n: 1n }), {
    code: 'invalid-input',
    faults: [{ path: '/n' }],
  })
})

t.test('an input that needs nothing may be left out', async (t) => {
  const optional = registryOf(Type.Object({ a: Type.Optional(Type.String({ default: 'x' })) }))
  t.same(optional.parseInput('w', undefined), { a: 'x' })
  t.throws(() => optional.parseInput('w', null), { code: 'invalid-input' })
  const none = new Registry()
  none.add({ name: 'w', details: { description: '' }, perform: () => null }, 'w')
  t.same(none.parseInput('w', undefined), {})
  t.throws(() => none.parseInput('w', { a: 1 }), { code: 'invalid-input' })
})

t.test('an output is held to its schema', async (t) => {
  const registry = registryOf({}, Type.Object({ n: Type.Integer() }))
  t.equal(registry.outputFault('w', { n: 1 }), undefined)
  t.match(registry.outputFault('w', { n: 'x' }), /\/n must be integer/)
})

t.test('an unknown worker is answered with the nearest name', async (t) => {
  const registry = new Registry()
  for (const name of ['copyfile', 'ifconfig', 'sleeper'])
    registry.add(
      worker(name, () => null),
      name,
    )
  t.throws(() => registry.get('sleepr'), /Did you mean sleeper\?/)
  t.throws(() => registry.get('x'.repeat(100_000)), { code: 'unknown-worker' })
  t.notMatch(
    (() => {
      try {
        return registry.get('zzzzzzzz')
      } catch (error) {
        return String(error)
      }
    })(),
    /Did you mean/,
  )
  t.same(
    registry.list().map(({ name }) => name),
    ['copyfile', 'ifconfig', 'sleeper'],
  )
})

t.test('a tuple of TypeBox is one of JSON Schema 2020-12', async (t) => {
  const Pair = Type.Tuple([Type.String(), Type.Integer()])
  const registry = registryOf(Type.Object({ pairs: Type.Array(Pair) }))
  t.same(registry.parseInput('w', { pairs: [['a', 1]] }), { pairs: [['a', 1]] })
  for (const pair of [['a'], ['a', 'b'], ['a', 1, 2]])
    t.throws(() => registry.parseInput('w', { pairs: [pair] }), { code: 'invalid-input' })
})
