import t from 'tap'
import { didYouMean, nearest } from '../../src/task/nearest.ts'

t.test('a name that was misspelt leads to the one that was meant', async (t) => {
  for (const [name, meant] of [
    ['nmae', 'name'],
    ['requried', 'required'],
    ['property', 'properties'],
    ['performm', 'perform'],
    ['maxNumTask', 'maxNumTasks'],
    ['maxnumtasks', 'maxNumTasks'],
    ['api_key', 'apiKey'],
    ['retention', 'retentionMs'],
    ['min', 'minimum'],
  ] as const) {
    t.equal(nearest(name, ['other', meant, 'something-else']), meant, name)
  }
})

t.test('a beginning leads on where nothing is nearer', async (t) => {
  t.equal(nearest('property', ['propertyNames', 'properties']), 'properties')
  t.equal(nearest('max', ['maximum', 'minimum']), 'maximum')
  t.equal(nearest('ma', ['maximum']), undefined, 'two letters are too few')
})

t.test('a name that is like none leads nowhere', async (t) => {
  t.equal(nearest('b', ['a']), undefined, 'one letter is like any other')
  t.equal(nearest('max', ['min']), undefined)
  t.equal(nearest('foo', ['name', 'id']), undefined)
  t.equal(nearest('name', []), undefined)
  t.equal(
    nearest('x'.repeat(1_000_000), ['x'.repeat(1_000_000)]),
    undefined,
    'nor is a long one compared',
  )
})

t.test('the question is put only where there is an answer', async (t) => {
  t.equal(didYouMean('nmae', ['name']), ' (did you mean name?)')
  t.equal(didYouMean('foo', ['name']), '')
})
