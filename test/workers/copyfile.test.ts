import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import type { TaskEvent } from '../../src/engine/events.ts'
import { inStatus, perform, settled, startApp, submit } from './perform.ts'

const BIG_BYTES = 512 * 1_048_576

/** A folder to keep within, and beside it what must not be reached. */
async function start(t: Test) {
  const folder = t.testdir({ root: {}, outside: { 'secret.txt': 'secret' } })
  const root = join(folder, 'root')
  const app = await startApp(t, { filesRoot: root })
  return {
    app,
    root,
    outside: join(folder, 'outside'),
    at: (name: string) => join(root, name),
    copy: (source: string, destination: string) =>
      perform(app, 'copyfile', { source, destination }),
  }
}

function failed(t: Test, task: { status: string; error?: object | undefined }, code: string) {
  t.match(task, { status: 'failed', error: { code, retryable: false } }, code)
}

t.test('a file is copied, with its mode', async (t) => {
  const { copy, at } = await start(t)
  const content = Buffer.from(Array.from({ length: 2_500_000 }, (_, i) => i % 251))
  writeFileSync(at('from.bin'), content)
  chmodSync(at('from.bin'), 0o751)
  const task = await copy('from.bin', 'to.bin')
  t.match(task, { status: 'completed', output: { bytes: content.length } })
  t.ok(readFileSync(at('to.bin')).equals(content), 'the content is the same')
  t.equal(statSync(at('to.bin')).mode & 0o7777, 0o751)
  t.same(readdirSync(at('.')).sort(), ['from.bin', 'to.bin'], 'nothing else is left')
})

t.test('absolute paths within the root, folders below it, and a root that is a link', async (t) => {
  const folder = t.testdir({ root: { sub: {}, 'a.txt': 'a' }, link: t.fixture('symlink', 'root') })
  const app = await startApp(t, { filesRoot: join(folder, 'link') })
  const input = { source: join(folder, 'link/a.txt'), destination: 'sub/../sub/b.txt' }
  t.match(await perform(app, 'copyfile', input), { status: 'completed', output: { bytes: 1 } })
  t.equal(readFileSync(join(folder, 'root/sub/b.txt'), 'utf8'), 'a')
})

t.test('an empty file is copied, and a name may begin with dots', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('..empty'), '')
  t.match(await copy('..empty', '...'), { status: 'completed', output: { bytes: 0 } })
  t.equal(statSync(at('...')).size, 0)
})

t.test('what is replaced keeps its own mode, and loses all of its content', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('from'), 'new')
  chmodSync(at('from'), 0o777)
  writeFileSync(at('to'), 'a longer old content')
  chmodSync(at('to'), 0o604)
  t.match(await copy('from', 'to'), { status: 'completed', output: { bytes: 3 } })
  t.equal(readFileSync(at('to'), 'utf8'), 'new')
  t.equal(statSync(at('to')).mode & 0o7777, 0o604)
})

t.test('who has the old destination open reads it to its end', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('from'), 'new')
  writeFileSync(at('to'), 'old')
  linkSync(at('to'), at('also-old'))
  await copy('from', 'to')
  t.equal(readFileSync(at('also-old'), 'utf8'), 'old', 'the old file was not written to')
})

t.test('set-user-id does not travel', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('from'), '#!')
  chmodSync(at('from'), 0o4755)
  await copy('from', 'to')
  t.equal(statSync(at('to')).mode & 0o7777, 0o755)
})

t.test('a file copied to itself, by whatever name, is left as it is', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('file'), 'content')
  linkSync(at('file'), at('hard'))
  symlinkSync('file', at('soft'))
  for (const [source, destination] of [
    ['file', 'file'],
    ['file', './file'],
    ['file', 'hard'],
    ['file', 'soft'],
    ['soft', 'file'],
  ] as const) {
    const task = await copy(source, destination)
    t.match(task, { status: 'completed', output: { bytes: 0 } }, `${source} to ${destination}`)
  }
  t.equal(readFileSync(at('file'), 'utf8'), 'content')
  t.ok(lstatSync(at('soft')).isSymbolicLink(), 'the link is still one')
})

t.test('links within the root are followed', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('file'), 'content')
  writeFileSync(at('target'), 'old')
  symlinkSync('file', at('from'))
  symlinkSync('target', at('to'))
  t.match(await copy('from', 'to'), { status: 'completed' })
  t.equal(readFileSync(at('target'), 'utf8'), 'content')
  t.ok(lstatSync(at('to')).isSymbolicLink(), 'the link stays, and leads to the copy')
})

t.test('what is not there says so', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('file'), '')
  failed(t, await copy('missing', 'to'), 'file-not-found')
  failed(t, await copy('file', 'missing/to'), 'file-not-found')
  failed(t, await copy('file/below', 'to'), 'file-not-found')
  t.same(readdirSync(at('.')), ['file'])
})

t.test('folders, pipes, sockets', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('file'), 'content')
  mkdirSync(at('folder'))
  execFileSync('mkfifo', [at('pipe')])
  // Relative: the path of a socket may be no longer than 107 bytes.
  const server = createServer().listen(relative('', at('socket')))
  await once(server, 'listening')
  t.teardown(() => server.close())
  const before = readdirSync(at('.')).sort()
  for (const name of ['folder', 'pipe', 'socket']) {
    failed(t, await copy(name, 'to'), 'not-regular-file')
    failed(t, await copy('file', name), 'not-regular-file')
  }
  t.same(readdirSync(at('.')).sort(), before)
  t.ok(lstatSync(at('pipe')).isFIFO(), 'the pipe was not replaced')
})

t.test('devices are no regular files', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('file'), 'content')
  try {
    execFileSync('mknod', [at('null'), 'c', '1', '3'], { stdio: 'ignore' })
  } catch {
    t.pass('this user may make no device', { skip: 'mknod is not permitted' })
    return
  }
  failed(t, await copy('null', 'to'), 'not-regular-file')
  failed(t, await copy('file', 'null'), 'not-regular-file')
  t.ok(lstatSync(at('null')).isCharacterDevice(), 'the device was not replaced')
})

t.test(
  'a name outside the root is refused alike whether or not there is such a file',
  async (t) => {
    const { copy, at, root } = await start(t)
    writeFileSync(at('file'), 'content')
    for (const name of [
      '../outside/secret.txt',
      '../outside/nothing',
      '../no/such/folder',
      '/nothing',
    ]) {
      failed(t, await copy(name, 'to'), 'outside-root')
      failed(t, await copy('file', name), 'outside-root')
    }
    for (const name of ['.', root]) failed(t, await copy('file', name), 'not-regular-file')
  },
)

t.test('a root that is a link can be named by either path', async (t) => {
  const { at, root } = await start(t)
  writeFileSync(at('file'), 'content')
  const link = `${root}-link`
  symlinkSync(root, link)
  const app = await startApp(t, { filesRoot: link })
  const input = { source: join(link, 'file'), destination: join(root, 'to') }
  t.match(await perform(app, 'copyfile', input), { status: 'completed' })
  t.equal(readFileSync(at('to'), 'utf8'), 'content')
})

t.test('what lies outside the root is neither read nor written', async (t) => {
  const { copy, at, outside } = await start(t)
  writeFileSync(at('file'), 'content')
  symlinkSync(join(outside, 'secret.txt'), at('file-link'))
  symlinkSync('../outside/secret.txt', at('relative-link'))
  symlinkSync(outside, at('folder-link'))
  symlinkSync('file-link', at('link-to-link'))
  for (const name of [
    join(outside, 'secret.txt'),
    '/etc/passwd',
    '../outside/secret.txt',
    'folder-link/secret.txt',
    'file-link',
    'relative-link',
    'link-to-link',
  ]) {
    failed(t, await copy(name, 'stolen'), 'outside-root')
    t.notOk(existsSync(at('stolen')), `${name} was not read`)
    // A copy over a system's file would be no test to run.
    if (name !== '/etc/passwd') failed(t, await copy('file', name), 'outside-root')
  }
  for (const name of ['../outside/new', join(outside, 'new'), 'folder-link/new', '../new']) {
    failed(t, await copy('file', name), 'outside-root')
  }
  t.same(readdirSync(outside), ['secret.txt'])
  t.equal(readFileSync(join(outside, 'secret.txt'), 'utf8'), 'secret')
})

t.test('a folder whose name only begins like the root is outside', async (t) => {
  const folder = t.testdir({ root: { file: 'content' }, 'root-too': { secret: 'secret' } })
  const app = await startApp(t, { filesRoot: join(folder, 'root') })
  const secret = join(folder, 'root-too/secret')
  failed(t, await perform(app, 'copyfile', { source: secret, destination: 'a' }), 'outside-root')
  failed(t, await perform(app, 'copyfile', { source: 'file', destination: secret }), 'outside-root')
  t.equal(readFileSync(secret, 'utf8'), 'secret')
})

t.test('a link that leads nowhere is no destination', async (t) => {
  const { copy, at, outside } = await start(t)
  writeFileSync(at('file'), 'content')
  symlinkSync('missing', at('dangling'))
  symlinkSync(join(outside, 'missing'), at('dangling-outside'))
  symlinkSync('circle', at('circle'))
  t.match(await copy('file', 'dangling'), { status: 'failed', error: { retryable: false } })
  t.match(await copy('file', 'dangling-outside'), { status: 'failed', error: { retryable: false } })
  failed(t, await copy('file', 'circle'), 'not-regular-file')
  failed(t, await copy('circle', 'to'), 'not-regular-file')
  t.notOk(existsSync(at('missing')))
  t.notOk(existsSync(join(outside, 'missing')))
})

t.test('names: a NUL byte, too long, as long as may be', async (t) => {
  const { copy, at } = await start(t)
  writeFileSync(at('file'), 'content')
  failed(t, await copy('fi\0le', 'to'), 'invalid-path')
  failed(t, await copy('file', 'to\0'), 'invalid-path')
  failed(t, await copy('file', 'x'.repeat(256)), 'file-not-found')
  const longest = ['x'.repeat(255), '語'.repeat(85)]
  for (const name of longest) {
    t.match(await copy('file', name), { status: 'completed' }, `${name.slice(0, 3)}…`)
  }
  t.same(readdirSync(at('.')).sort(), ['file', ...longest].sort())
})

t.test('copies to one destination at once leave one of them, whole', async (t) => {
  const { copy, at } = await start(t)
  const letters = ['a', 'b', 'c', 'd']
  for (const letter of letters) writeFileSync(at(letter), letter.repeat(3_000_000))
  const tasks = await Promise.all(letters.map((letter) => copy(letter, 'to')))
  for (const task of tasks) t.equal(task.status, 'completed')
  const content = readFileSync(at('to'), 'utf8')
  t.equal(content, content.slice(0, 1).repeat(3_000_000))
  t.same(readdirSync(at('.')).sort(), [...letters, 'to'])
})

t.test('progress is told in bytes, and the last of it is all', async (t) => {
  const { app, at } = await start(t)
  writeFileSync(at('from'), Buffer.alloc(5_000_000))
  const seen: number[] = []
  const onEvent = (event: TaskEvent) => {
    if (event.type === 'progress') seen.push(event.progress.done)
  }
  const subscription = app.errand.events.subscribe({ onEvent, onEnd: () => {} })
  t.teardown(() => subscription.close())
  const task = await perform(app, 'copyfile', { source: 'from', destination: 'to' })
  t.match(task, { progress: { done: 5_000_000, total: 5_000_000 } })
  t.ok(seen.length >= 2, 'more than once')
  t.same(
    seen,
    [...seen].sort((a, b) => a - b),
    'it only grows',
  )
})

t.test('a big copy that is canceled midway leaves what was there', async (t) => {
  const { app, at } = await start(t)
  writeFileSync(at('big'), '')
  truncateSync(at('big'), BIG_BYTES)
  t.teardown(() => rmSync(at('big'), { force: true }))
  writeFileSync(at('to'), 'old')
  const begun = Promise.withResolvers<string>()
  const onEvent = ({ type, task }: TaskEvent) => {
    if (type === 'progress') begun.resolve(task.id)
  }
  const subscription = app.errand.events.subscribe({ onEvent, onEnd: () => {} })
  t.teardown(() => subscription.close())
  const id = await submit(app, 'copyfile', { source: 'big', destination: 'to' })
  t.equal(await begun.promise, id)
  await app.errand.act(id, 'cancel')
  const task = await settled(app, id)
  t.equal(task.status, 'canceled')
  t.ok((task.progress?.done ?? BIG_BYTES) < BIG_BYTES, 'it had not come to its end')
  t.same(readdirSync(at('.')).sort(), ['big', 'to'], 'no temporary file is left')
  t.equal(readFileSync(at('to'), 'utf8'), 'old')
})

t.test(
  'a copy that is paused stands still, its file unseen under the name it will have',
  async (t) => {
    const { app, at } = await start(t)
    writeFileSync(at('big'), '')
    truncateSync(at('big'), BIG_BYTES)
    t.teardown(() => rmSync(at('big'), { force: true }))
    const id = await submit(app, 'copyfile', { source: 'big', destination: 'to' })
    await inStatus(app, id, 'running')
    await app.errand.act(id, 'pause')
    await inStatus(app, id, 'paused')
    t.notOk(existsSync(at('to')))
    t.equal(readdirSync(at('.')).length, 2, 'the source and what is copied so far')
    await app.errand.act(id, 'cancel')
    t.equal((await settled(app, id)).status, 'canceled')
    t.same(readdirSync(at('.')), ['big'])
  },
)
