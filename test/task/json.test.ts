import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { MAX_DEPTH, toJson } from '../../src/task/json.ts'

t.test('a JSON value is copied as JSON would, and shares nothing', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const copy = toJson(value)
      // Minus zero is no JSON value: it is written as 0.
      t.same(JSON.stringify(copy), JSON.stringify(value))
      if (typeof value === 'object' && value !== null) t.not(copy, value)
    }),
  )
})

t.test('what JSON leaves out or converts is kept as JSON has it', async (t) => {
  t.same(toJson(undefined), null)
  t.same(toJson({ a: undefined, b: new Date(0) }), { b: '1970-01-01T00:00:00.000Z' })
  t.same(toJson(Object.assign(Object.create(null), { a: 1 })), { a: 1 })
  t.same(toJson(runInNewContext('({ a: [1] })')), { a: [1] }, 'objects of another realm are plain')
})

t.test('a member called __proto__ is a member', async (t) => {
  const copy = toJson(JSON.parse('{"__proto__":{"polluted":true}}'))
  t.equal(Object.getPrototypeOf(copy), Object.prototype)
  t.equal(JSON.stringify(copy), '{"__proto__":{"polluted":true}}')
})

t.test('what JSON would lose in silence is refused, with its place', async (t) => {
  const circular: { self?: unknown } = {}
  circular.self = circular
  const refused: [unknown, RegExp][] = [
    [1n, /bigint/],
    [() => 1, /function/],
    [Symbol('s'), /symbol/],
    [Number.NaN, /NaN/],
    [{ a: [1, Number.POSITIVE_INFINITY] }, /at \/a\/1/],
    [[undefined], /undefined is not JSON at \/0/],
    [new Map(), /Map/],
    [{ 'a/b~c': new Set() }, /at \/a~1b~0c/],
    [circular, /circular/],
  ]
  for (const [value, message] of refused) t.throws(() => toJson(value), message)
})

t.test('nesting and size are bounded', async (t) => {
  const nested = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
  t.doesNotThrow(() => toJson(nested(MAX_DEPTH)))
  t.throws(() => toJson(nested(MAX_DEPTH + 1)), /nested deeper/)
  t.throws(() => toJson(nested(100_000)), /…/, 'the place of what is nested too deep is cut')
  t.throws(() => toJson('x'.repeat(1_001), 1_000), /too large/)
  t.throws(
    () =>
      toJson(
        Array.from({ length: 1_000 }, () => 0),
        1_000,
      ),
    /too large/,
  )
  t.doesNotThrow(() => toJson(['x'.repeat(900)], 1_000))
})
