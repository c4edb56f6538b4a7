import fc from 'fast-check'
import t from 'tap'
import { Type } from 'typebox'
import { toGoDuration } from '../../../routes/compat/tasky.ts'
import { defineWorker } from '../../../src/task/worker.ts'
import { makeApp, settled, submit } from '../../app.ts'

t.test('an output that is no object stands as a string', async (t) => {
  const outputs = [{ a: 1 }, {}, 'text', '', 3, true, null, [1, { b: 2 }]]
  const wanted = [
    { a: 1 },
    {},
    { string_output: 'text' },
    { string_output: '' },
    { string_output: '3' },
    { string_output: 'true' },
    { string_output: 'null' },
    { string_output: '[1,{"b":2}]' },
  ]
  const teller = defineWorker({
    name: 'teller',
    details: { description: 'Tells', input: Type.Object({ i: Type.Integer() }) },
    perform: ({ i }) => outputs[i],
  })
  const app = await makeApp(t, { workers: [teller] })
  for (const [i, Output] of wanted.entries()) {
    const { id } = await submit(app, 'teller', { i })
    await settled(app, id)
    const result = await app.inject(`/tasky/v1/tasks/${id}/result`)
    t.strictSame(result.json(), { Output, TaskId: id })
  }
})

t.test('config_objects holds an empty value of each member’s type', async (t) => {
  const many = defineWorker({
    name: 'many',
    details: {
      description: 'Takes much',
      input: Type.Object({
        text: Type.String(),
        whole: Type.Optional(Type.Integer()),
        number: Type.Number(),
        flag: Type.Boolean(),
        list: Type.Array(Type.String()),
        nested: Type.Object({ inner: Type.String() }),
        open: Type.Object({}),
        either: Type.Unsafe<unknown>({ type: ['string', 'null'] }),
        any: Type.Unsafe<unknown>({}),
      }),
    },
    perform: () => null,
  })
  const app = await makeApp(t, { workers: [many] })
  const [worker] = (await app.inject('/tasky/v1/workers/')).json<{ config_objects: object }[]>()
  t.strictSame(worker?.config_objects, {
    text: '',
    whole: 0,
    number: 0,
    flag: false,
    list: [],
    nested: { inner: '' },
    open: {},
    either: '',
    any: null,
  })
})

t.test('a duration is written as Go writes it', async (t) => {
  for (const [ms, text] of [
    [0, '0s'],
    [1, '1ms'],
    [1.5, '1.5ms'],
    [999, '999ms'],
    [1_000, '1s'],
    [1_500, '1.5s'],
    [1_002, '1.002s'],
    [59_999, '59.999s'],
    [60_000, '1m0s'],
    [60_002, '1m0.002s'],
    [3_599_999, '59m59.999s'],
    [3_600_000, '1h0m0s'],
    [9_900_000, '2h45m0s'],
    [90_061_001, '25h1m1.001s'],
  ] as const) {
    t.equal(toGoDuration(ms), text)
  }
  const units: { [unit: string]: number } = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 40 }), (ms) => {
      let sum = 0
      for (const [, amount, unit = ''] of toGoDuration(ms).matchAll(/([\d.]+)(h|ms|m|s)/g))
        sum += Number(amount) * (units[unit] ?? Number.NaN)
      return Math.round(sum) === ms
    }),
  )
})
