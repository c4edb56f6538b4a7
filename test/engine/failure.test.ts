import fc from 'fast-check'
import t from 'tap'
import { stackOf, toFailure } from '../../src/engine/failure.ts'
import { TaskError } from '../../src/task/worker.ts'

t.test('a TaskError keeps its code, and any other error is the worker’s', async (t) => {
  t.same(toFailure(new TaskError('disk-full', 'no room', { retryable: false })), {
    code: 'disk-full',
    message: 'no room',
    retryable: false,
  })
  t.same(toFailure(new TypeError('x is undefined')), {
    code: 'worker-error',
    message: 'x is undefined',
    retryable: true,
  })
  t.match(toFailure(new RangeError()), { message: 'RangeError' })
  t.match(toFailure(new TaskError('no code at all\n', 'm')), { code: 'worker-error', message: 'm' })
})

t.test('a TaskError of another Errand is one by its shape', async (t) => {
  const foreign = Object.assign(new Error('m'), {
    name: 'TaskError',
    code: 'mine',
    retryable: false,
  })
  t.same(toFailure(foreign), { code: 'mine', message: 'm', retryable: false })
  t.match(toFailure(Object.assign(new Error('m'), { code: 'ENOENT' })), { code: 'worker-error' })
})

t.test('nothing that can be thrown makes it throw, and no message is without bound', async (t) => {
  const hostile = [
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('no')
        },
        getPrototypeOf: () => {
          throw new Error('no')
        },
      },
    ),
    Object.defineProperty(new Error('x'), 'message', {
      get: () => {
        throw new Error('no')
      },
    }),
    Object.assign(new Error('x'), {
      message: {
        toString: () => {
          throw new Error('no')
        },
      },
    }),
    Symbol('s'),
    '',
    undefined,
  ]
  for (const thrown of hostile) {
    const failure = toFailure(thrown)
    t.type(failure.message, 'string')
    t.ok(failure.message.length > 0)
    t.doesNotThrow(() => JSON.stringify(failure))
    t.doesNotThrow(() => stackOf(thrown))
  }
  t.ok(toFailure('x'.repeat(1e6)).message.length <= 4_096)
  fc.assert(fc.property(fc.anything(), (thrown) => typeof toFailure(thrown).message === 'string'))
})
