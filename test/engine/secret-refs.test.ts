import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import {
  acceptingSecretRefs,
  hasSecretRef,
  resolveSecretRefs,
} from '../../src/engine/secret-refs.ts'
import { Secrets } from '../../src/engine/secrets.ts'
import { Type } from '../../src/index.ts'
import type { Json } from '../../src/task/json.ts'
import { perform, startApp } from '../workers/perform.ts'

const ref = { $secret: 'TOKEN' }

t.test('what refers to a secret is found at any depth', async (t) => {
  const some: Json[] = [ref, { a: ref }, [[{ b: [ref] }]], { $secret: 5 }]
  for (const value of some) t.ok(hasSecretRef(value))
  const none: Json[] = [null, 'x', {}, [], { secret: 'x' }, '$secret']
  for (const value of none) t.notOk(hasSecretRef(value))
})

t.test('references are resolved, each secret read once', async (t) => {
  const read: string[] = []
  const value = { a: ref, b: [ref, { $secret: 'OTHER' }, 'x'], c: { ...ref, more: 1 } }
  const resolved = await resolveSecretRefs(value, async (name) => {
    read.push(name)
    return `<${name}>`
  })
  t.same(resolved, {
    value: { a: '<TOKEN>', b: ['<TOKEN>', '<OTHER>', 'x'], c: { ...ref, more: 1 } },
    secrets: ['<TOKEN>', '<OTHER>'],
  })
  t.same(read, ['TOKEN', 'OTHER'])
})

t.test('a schema takes a reference in place of a text, and nowhere else', async (t) => {
  t.same(acceptingSecretRefs({ properties: { n: { type: 'integer' } } }), {
    properties: { n: { type: 'integer' } },
  })
  t.match(acceptingSecretRefs({ type: 'string', default: 'x', minLength: 3 }), {
    default: 'x',
    anyOf: [{ type: 'string', minLength: 3 }, { required: ['$secret'] }],
  })
  t.same(acceptingSecretRefs({ not: { type: 'string' } }), { not: { type: 'string' } })
})

t.test('secrets come from the environment, then from files', async (t) => {
  const folder = t.testdir({
    BOTH: 'file',
    FILE: 'from file\n',
    CRLF: 'x\r\n',
    TWO: 'a\n\n',
    DIR: {},
  })
  const secrets = new Secrets(folder, { ERRAND_SECRET_BOTH: 'variable', ERRAND_SECRET_EMPTY: '' })
  t.equal(await secrets.read('BOTH'), 'variable')
  t.equal(await secrets.read('EMPTY'), '')
  t.equal(await secrets.read('FILE'), 'from file')
  t.equal(await secrets.read('CRLF'), 'x')
  t.equal(await secrets.read('TWO'), 'a\n')
  await t.rejects(secrets.read('NONE'), {
    code: 'unknown-secret',
    message: /NONE: set ERRAND_SECRET_NONE/,
    retryable: false,
  })
  await t.rejects(secrets.read('..'), { code: 'unknown-secret' })
  await t.rejects(secrets.read('DIR'), { code: 'unreadable-secret' })
  execFileSync('mkfifo', [join(folder, 'PIPE')])
  await t.rejects(secrets.read('PIPE'), { code: 'unreadable-secret' }, 'a pipe is not waited for')
  for (const name of ['../FILE', 'DIR/../FILE', '/etc/passwd', 'a..b', '', 'x'.repeat(200)])
    await t.rejects(secrets.read(name), { code: 'unknown-secret', retryable: false }, name)
  await t.rejects(new Secrets(join(folder, 'none'), {}).read('FILE'), { code: 'unknown-secret' })
  await t.rejects(new Secrets(undefined, {}).read('FILE'), { code: 'unknown-secret' })
})

t.test('a task is given the secret, and shows the reference', async (t) => {
  const secretsDir = t.testdir({ TOKEN: 'abc-123-def\n', SHORT: 'ab' })
  const seen: unknown[] = []
  const app = await startApp(t, {
    secretsDir,
    builtins: false,
    workers: [
      {
        name: 'w',
        details: {
          description: 'Takes a token',
          input: Type.Object({
            token: Type.String({ minLength: 3 }),
            count: Type.Integer({ default: 1 }),
            more: Type.Optional(Type.Unknown()),
          }),
        },
        perform(input: unknown) {
          seen.push(input)
          return input
        },
      },
    ],
  })
  const done = await perform(app, 'w', { token: ref, more: [{ $secret: 'TOKEN' }] })
  t.same(seen, [{ token: 'abc-123-def', count: 1, more: ['abc-123-def'] }])
  t.match(done, { status: 'completed', output: { token: '[redacted]', more: ['[redacted]'] } })
  t.match((await app.inject(`/tasks/${done.id}`)).json(), { input: { token: ref, count: 1 } })
  t.match(await perform(app, 'w', { token: { $secret: 'NONE' } }), {
    status: 'failed',
    error: { code: 'unknown-secret', message: /NONE/, retryable: false },
  })
  t.match(await perform(app, 'w', { token: { $secret: 'SHORT' } }), {
    status: 'failed',
    error: { code: 'invalid-input', message: /\/token/ },
  })
  for (const input of [
    { token: { $secret: 'not a name' } },
    { token: { $secret: '../TOKEN' } },
    { token: { $secret: 5 } },
    { token: { $secret: 'TOKEN', more: 1 } },
    { token: 'abc', count: ref },
    { token: ref, extra: ref },
    { token: 'abc', more: { $secret: '../TOKEN' } },
    { token: 'abc', more: [{ deep: { $secret: '../../etc/passwd' } }] },
  ]) {
    await t.rejects(app.errand.submit('w', input), { code: 'invalid-input' }, JSON.stringify(input))
  }
})
