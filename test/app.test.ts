import fastify from 'fastify'
import t from 'tap'
import { type AppOptions, createApp, defineWorker, errand, Type } from '../src/index.ts'

const hello = defineWorker({
  name: 'hello',
  details: { description: 'Greets', input: Type.Object({}) },
  perform: () => 'hello',
})

/** Options as a program without types may write them. */
const untyped = (options: object): AppOptions => options

t.test('an unknown option is refused, and the one that was meant is named', async (t) => {
  for (const [options, message] of [
    [{ worker: [hello] }, 'worker is no option of Errand (did you mean workers?).'],
    [{ apikey: 'a-key' }, 'apikey is no option of Errand (did you mean apiKey?).'],
    [{ retention: 1_000 }, 'retention is no option of Errand (did you mean retentionMs?).'],
    [{ colour: 'red' }, 'colour is no option of Errand.'],
    [{ port: 8_888 }, 'port is no option of Errand: listen({ port }) takes it.'],
  ] as const) {
    const refused = { code: 'invalid-config', message }
    await t.rejects(createApp(untyped({ logLevel: 'silent', ...options })), refused)
    const app = fastify()
    t.teardown(() => app.close())
    await t.rejects(
      async () => app.register(errand, untyped({ prefix: '/x', ...options })),
      refused,
    )
  }
})

t.test('what Fastify gives a plugin is taken', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  const options = { prefix: '/x', logLevel: 'silent', logSerializers: {}, builtins: false } as const
  await app.register(errand, { ...options, workers: [hello] })
  t.equal((await app.inject('/x/workers')).json().workers.length, 1)
})

t.test('workers must be a list', async (t) => {
  for (const workers of [hello, './workers', new Set([hello]), null]) {
    await t.rejects(createApp(untyped({ logLevel: 'silent', workers })), {
      code: 'invalid-config',
      message: 'The option workers must be a list of workers and folders, such as [hello].',
    })
  }
})

t.test('commands must be a list', async (t) => {
  await t.rejects(createApp(untyped({ logLevel: 'silent', commands: 'commands.yaml' })), {
    code: 'invalid-config',
    message: "The option commands must be a list of files, such as ['commands.yaml'].",
  })
})

t.test('an address that others can reach needs one of two options, by their names', async (t) => {
  await t.rejects(createApp({ host: '0.0.0.0', logLevel: 'silent' }), {
    code: 'invalid-config',
    message:
      "To listen on 0.0.0.0, which others can reach, set apiKey; or say auth: 'none' to serve everybody without a key.",
  })
})
