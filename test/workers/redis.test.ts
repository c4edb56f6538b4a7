import t, { type Test } from 'tap'
import type { Json } from '../../src/task/json.ts'
import { until } from '../until.ts'
import { perform, startApp } from './perform.ts'
import { othersOf, startRedis } from './redis/server.ts'

/** Every byte there is, and not one sequence of UTF-8 from 0x80 on. */
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
const base64 = (bytes: Buffer) => ({ $base64: bytes.toString('base64') })

async function start(t: Test, settings: readonly string[] = []) {
  const server = await startRedis(t, { settings })
  if (server === undefined) return undefined
  const app = await startApp(t)
  const run = (command: string, args: unknown[] = [], more: object = {}) =>
    perform(app, 'redis', { host: '127.0.0.1', port: server.port, command, args, ...more })
  /** The reply, where there must be one. */
  const reply = async (command: string, ...args: unknown[]): Promise<Json | undefined> => {
    const { status, error, output } = await run(command, args)
    if (status !== 'completed') throw new Error(JSON.stringify(error))
    return (output as { result: Json }).result
  }
  return { server, app, run, reply }
}

t.test('replies of every kind come as Redis documents them', async (t) => {
  const redis = await start(t)
  if (redis === undefined) return
  const { reply } = redis
  t.equal(await reply('set', 'key', 'value'), 'OK', 'a status')
  t.equal(await reply('GET', 'key'), 'value', 'a string, the command in any case')
  t.equal(await reply('Get', 'missing'), null, 'nothing')
  t.equal(await reply('set', 'empty', ''), 'OK')
  t.equal(await reply('get', 'empty'), '', 'an empty string')
  t.equal(await reply('rpush', 'list', 'a', 'b', 3), 3, 'an integer')
  t.same(await reply('lrange', 'list', 0, -1), ['a', 'b', '3'], 'a list')
  t.same(await reply('lrange', 'missing', 0, -1), [], 'an empty list')
  t.equal(await reply('blpop', 'missing', 0.01), null, 'no list')
  t.same(await reply('mget', 'key', 'missing'), ['value', null], 'nothing within a list')
  t.equal(await reply('hset', 'hash', 'name', 'Ada', 'age', 36), 2)
  t.same(await reply('hgetall', 'hash'), ['name', 'Ada', 'age', '36'], 'a hash, flat')
  t.same(await reply('config', 'get', 'maxclients'), ['maxclients', '10000'], 'a subcommand')
  t.equal(await reply('zadd', 'scores', 1.5, 'one'), 1)
  t.same(await reply('zrange', 'scores', 0, -1, 'WITHSCORES'), ['one', '1.5'], 'scores are strings')
  t.match(await reply('info', 'server'), /redis_version:/)
  const nested = 'return {1, {"a", {false, "b"}}, redis.error_reply("ERR inner"), {ok="FINE"}}'
  t.same(
    await reply('eval', nested, 0),
    [1, ['a', [null, 'b']], { $error: 'ERR inner' }, 'FINE'],
    'lists within lists, and an error within one',
  )
})

t.test('bytes go both ways as they are', async (t) => {
  const redis = await start(t)
  if (redis === undefined) return
  const { reply, server } = redis
  t.equal(await reply('set', base64(BYTES), base64(BYTES)), 'OK')
  t.ok((await server.client.getBuffer(BYTES))?.equals(BYTES), 'the server has them')
  t.same(await reply('get', base64(BYTES)), base64(BYTES))
  t.same(await reply('keys', '*'), [base64(BYTES)], 'within a list')
  t.equal(await reply('hset', 'hash', base64(BYTES), 'v'), 1)
  t.same(await reply('hgetall', 'hash'), [base64(BYTES), 'v'], 'as the name of a field')
  for (const text of ['grün 語 🙂', '\u0000', '\uFEFFwith a mark', 'a\r\nb', '__proto__', '']) {
    await reply('set', 'text', text)
    t.equal(await reply('get', 'text'), text, JSON.stringify(text))
    t.equal(await server.client.get('text'), text)
  }
  for (const cut of [Buffer.from([0xff]), Buffer.from('é').subarray(0, 1)]) {
    await server.client.set('cut', cut)
    t.same(await reply('get', 'cut'), base64(cut), 'what is no UTF-8 is no string')
  }
  t.equal(await reply('strlen', { $base64: '' }), 0)
  t.equal(await reply('echo', { $base64: '' }), '', 'no bytes at all')
})

t.test('integers past what JSON holds are strings, in both directions', async (t) => {
  const redis = await start(t)
  if (redis === undefined) return
  const { reply, run, app, server } = redis
  t.equal(await reply('set', 'n', '9007199254740990'), 'OK')
  t.equal(await reply('incr', 'n'), 9007199254740991)
  t.equal(await reply('incr', 'n'), '9007199254740992')
  t.equal(await reply('incrby', 'n', '9214364837600034815'), '9223372036854775807')
  t.equal(await reply('set', 'n', -9007199254740991), 'OK')
  t.equal(await reply('decr', 'n'), '-9007199254740992')
  t.equal(await reply('echo', 0.1), '0.1')
  const input = { host: 'x', port: server.port, command: 'echo' }
  const refused = { code: 'invalid-input' }
  await t.rejects(app.errand.submit('redis', { ...input, args: [2 ** 53] }), refused)
  t.match(await run('echo', ['\ud800']), { error: { code: 'invalid-argument', retryable: false } })
})

t.test('what the input does not allow is refused at the submit', async (t) => {
  const app = await startApp(t)
  const good = { host: 'localhost', command: 'ping' }
  for (const bad of [
    { host: '/run/redis.sock' },
    { host: 'redis://localhost' },
    { host: '' },
    { command: 'config get' },
    { command: '' },
    { command: 'get\r\nflushall' },
    { port: 0 },
    { port: 65_536 },
    { args: [['nested']] },
    { args: [null] },
    { args: [true] },
    { args: [{ $base64: 'not base64' }] },
    { args: [{ $base64: 'YQ==', more: 1 }] },
    { args: 'value' },
    { db: -1 },
    { timeout: 0 },
    { tls: { rejectUnauthorized: false } },
    { tls: { servername: '127.0.0.1' } },
    { tls: { servername: '::1' } },
    { path: '/run/redis.sock' },
  ]) {
    const submitted = app.errand.submit('redis', { ...good, ...bad })
    await t.rejects(submitted, { code: 'invalid-input' }, JSON.stringify(bad))
  }
})

t.test('commands that never end, or are of no use alone, are refused unsent', async (t) => {
  const redis = await start(t)
  if (redis === undefined) return
  const { run, server } = redis
  const before = await connections(server.client)
  for (const [command, ...args] of [
    ['subscribe', 'channel'],
    ['PSUBSCRIBE', '*'],
    ['ssubscribe', 'channel'],
    ['monitor'],
    ['sync'],
    ['psync', '?', '-1'],
    ['multi'],
    ['exec'],
    ['watch', 'key'],
    ['hello', '3'],
    ['auth', 's3cret'],
    ['select', '1'],
    ['quit'],
    ['reset'],
    ['client', 'reply', 'off'],
    ['Client', base64(Buffer.from('Reply')), 'skip'],
  ]) {
    const task = await run(String(command), args)
    t.match(task, { status: 'failed', error: { code: 'command-refused', retryable: false } })
    t.notMatch(task.error?.message, /s3cret/)
  }
  t.equal(await connections(server.client), before, 'no connection was opened')
  t.match(await run('client', ['getname']), { status: 'completed' }, 'others of CLIENT are not')
})

t.test('error replies have stable codes, and repeat no argument', async (t) => {
  const redis = await start(t, ['--maxmemory-policy', 'noeviction'])
  if (redis === undefined) return
  const { run, reply, server } = redis
  await reply('set', 'text', 'x')
  const failed = async (code: string, retryable: boolean, command: string, ...args: unknown[]) => {
    const { status, error } = await run(command, args)
    t.match({ status, error }, { status: 'failed', error: { code, retryable } }, command)
    t.notMatch(error?.message, /s3cret/, 'no argument')
    return error?.message
  }
  t.equal(
    await failed('redis-wrongtype', false, 'lpush', 'text', 's3cret'),
    'Redis refused LPUSH: WRONGTYPE Operation against a key holding the wrong kind of value',
  )
  t.match(
    await failed('redis-error', false, 'nonsense', 's3cret', 'x'),
    /unknown command 'NONSENSE'$/,
  )
  await failed('redis-error', false, 'get')
  await failed('redis-error', false, 'acl', 's3cret')
  await failed('redis-error', false, 'acl', 'setuser', 'bob', 's3cret')
  await failed('redis-error', false, 'incr', 'text')
  t.match(await run('get', ['x'], { db: 99 }), {
    error: {
      code: 'redis-error',
      message: 'Redis refused database 99: ERR DB index is out of range',
    },
  })
  await server.client.config('SET', 'maxmemory', '1')
  await failed('redis-out-of-memory', true, 'set', 'k', 's3cret')
  await server.client.config('SET', 'maxmemory', '0')
  await server.client.replicaof('127.0.0.1', 1)
  await failed('redis-readonly', true, 'set', 'k', 's3cret')
  await server.client.replicaof('NO', 'ONE')
})

t.test('a server that is busy, or does not serve, says so', async (t) => {
  const redis = await start(t, ['--lua-time-limit', '10'])
  if (redis === undefined) return
  const { run, reply, server } = redis
  const endless = server.client.eval('while true do end', 0)
  const busy = await until(async () => {
    const task = await run('get', ['k'])
    return task.error === undefined ? false : task
  })
  t.match(busy, { error: { code: 'redis-busy', retryable: true } })
  t.equal(await reply('script', 'kill'), 'OK')
  await t.rejects(endless)
  const cluster = await start(t, ['--cluster-enabled', 'yes'])
  t.match(await cluster?.run('get', ['k']), {
    error: { code: 'redis-unavailable', retryable: true, message: /CLUSTERDOWN/ },
  })
})

t.test('every task has the database it says, and says its own', async (t) => {
  const redis = await start(t)
  if (redis === undefined) return
  const { run, server } = redis
  t.match(await run('set', ['k', 'three'], { db: 3 }), { output: { result: 'OK' } })
  t.match(await run('get', ['k']), { output: { result: null } })
  t.match(await run('get', ['k'], { db: 3 }), { output: { result: 'three' } })
  t.equal(await server.client.get('k'), null)
})

t.test('many arguments and a great reply, and none that is greater', async (t) => {
  const redis = await start(t)
  if (redis === undefined) return
  const { run, reply, server } = redis
  const words = Array.from({ length: 5_000 }, (_, i) => `word ${i}`)
  t.equal(await reply('rpush', 'list', ...words), words.length)
  t.same(await reply('lrange', 'list', 0, -1), words)
  await server.client.set('half', Buffer.alloc(500_000, 'a'))
  t.equal(String(await reply('get', 'half')).length, 500_000)
  await server.client.set('big', Buffer.alloc(17 * 1_048_576))
  const refused = { status: 'failed', error: { code: 'reply-too-large', retryable: false } }
  t.match(await run('get', ['big']), refused, 'one string')
  await server.client.set('part', Buffer.alloc(1_048_576))
  t.match(await run('mget', Array(17).fill('part')), refused, 'many together')
  await until(async () => (await othersOf(server)) === 0)
})

async function connections(client: { info(section: string): Promise<string> }): Promise<string> {
  return /total_connections_received:(\d+)/.exec(await client.info('stats'))?.[1] ?? ''
}
