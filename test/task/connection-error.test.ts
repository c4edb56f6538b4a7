import { connect } from 'node:net'
import t from 'tap'
import { connectionError } from '../../src/task/connection-error.ts'
import { TaskError } from '../../src/task/worker.ts'

const withCode = (code: string) => Object.assign(new Error(`it broke: ${code}`), { code })

t.test('what systems and libraries say becomes a stable code', async (t) => {
  const cases: [unknown, string, boolean][] = [
    [withCode('ECONNREFUSED'), 'connection-refused', true],
    [withCode('EAI_AGAIN'), 'unknown-host', true],
    [withCode('UND_ERR_CONNECT_TIMEOUT'), 'connection-timeout', true],
    [withCode('ECONNRESET'), 'connection-lost', true],
    [withCode('DEPTH_ZERO_SELF_SIGNED_CERT'), 'bad-certificate', false],
    [withCode('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'bad-certificate', false],
    [withCode('CERT_HAS_EXPIRED'), 'bad-certificate', false],
    [withCode('ERR_TLS_CERT_ALTNAME_INVALID'), 'bad-certificate', false],
    [withCode('ERR_SSL_WRONG_VERSION_NUMBER'), 'tls-failed', false],
    [withCode('EHOSTUNREACH'), 'unreachable', true],
    [new Error('outer', { cause: withCode('EPIPE') }), 'connection-lost', true],
    [new AggregateError([withCode('ENETUNREACH'), withCode('ECONNREFUSED')]), 'unreachable', true],
    [withCode('WHATEVER'), 'connection-failed', true],
    [new Error('no code'), 'connection-failed', true],
    ['a string', 'connection-failed', true],
    [undefined, 'connection-failed', true],
  ]
  for (const [error, code, retryable] of cases) {
    t.match(connectionError(error, 'GET http://x/'), {
      code,
      retryable,
      message: /^GET http:\/\/x\/ failed: /,
    })
  }
})

t.test('a failure that a worker chose stays as it is', async (t) => {
  const chosen = new TaskError('mine', 'm')
  t.equal(connectionError(chosen, 'x'), chosen)
})

t.test('a real refusal, by a name with several addresses', async (t) => {
  const error = await new Promise((resolve) =>
    connect({ host: 'localhost', port: 1 }).once('error', resolve),
  )
  t.match(connectionError(error, 'connecting to localhost:1'), {
    code: 'connection-refused',
    message: 'connecting to localhost:1 failed: nothing listens there (ECONNREFUSED).',
  })
})
