import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { program } from '../program.ts'
import { ServerProcess } from '../server-process.ts'
import { until } from '../until.ts'
import { children, processesWith, resultOf, serve } from './command/serve.ts'
import { perform, settled, submit } from './perform.ts'

/** Has the shell say that it has come so far. */
const READY = 'touch ready'
const DEAF = `trap '' TERM; ${READY}; while :; do sleep 0.05; done`
/** A parent, a child and a grandchild; none of them is known to this process but the first. */
const FAMILY = `sh -c 'sleep 1000 & ${READY}; sleep 1000' & sleep 1000`

/** Workers that run scripts, all of whose processes bear a mark. */
async function serveMarked(t: Test, scripts: { readonly [name: string]: [string, object?] }) {
  const mark = randomUUID()
  const workers = Object.entries(scripts).map(([name, [command, more]]) => [
    name,
    { shell: true, command, env: { MARK: mark }, ...more },
  ])
  const { app, folder } = await serve(t, Object.fromEntries(workers))
  return {
    app,
    living: () => processesWith('MARK', mark),
    ready: () => until(() => existsSync(join(folder, 'ready'))),
  }
}

async function cancel(app: FastifyInstance, id: string): Promise<number> {
  const began = performance.now()
  await app.errand.act(id, 'cancel')
  const task = await settled(app, id)
  if (task.status !== 'canceled') throw new Error(`${id} is ${task.status}`)
  return performance.now() - began
}

t.test(
  'a cancel ends the program and all that it started, before the task is canceled',
  async (t) => {
    const { app, living, ready } = await serveMarked(t, { family: [FAMILY] })
    const id = await submit(app, 'family')
    await ready()
    await until(() => living().length === 5)
    const tookMs = await cancel(app, id)
    t.same(living(), [], 'none of them is left when the task has settled')
    t.same(children(), [])
    t.ok(tookMs < 4_000, `nothing was waited for: ${tookMs} ms`)
  },
)

t.test('what ignores SIGTERM is killed, and not before it had its time', async (t) => {
  const { app, living, ready } = await serveMarked(t, { deaf: [DEAF, { kill_after: '300ms' }] })
  const id = await submit(app, 'deaf')
  await ready()
  const tookMs = await cancel(app, id)
  t.ok(tookMs >= 295, `${tookMs} ms`)
  t.same(living(), [])
})

t.test('who hears SIGTERM can end in its own way', async (t) => {
  const polite = `trap 'echo bye; exit 0' TERM; ${READY}; while :; do sleep 0.02; done`
  const { app, ready } = await serveMarked(t, { polite: [polite] })
  const id = await submit(app, 'polite')
  await ready()
  await cancel(app, id)
  const log = await app.errand.logs(id)
  t.ok(
    log.some(({ message }) => message === 'bye'),
    'and what it says then is logged',
  )
})

t.test('a child that ignores SIGTERM is killed after its parent has gone', async (t) => {
  const command = `sh -c "${DEAF}" & sleep 1000`
  const { app, living, ready } = await serveMarked(t, { deaf: [command, { kill_after: '200ms' }] })
  const id = await submit(app, 'deaf')
  await ready()
  await cancel(app, id)
  t.same(living(), [])
})

t.test('a timeout ends it too', async (t) => {
  const { app, living } = await serveMarked(t, { family: [FAMILY, { timeout: '300ms' }] })
  const task = await perform(app, 'family')
  t.match(task, { status: 'failed', error: { code: 'timeout' } })
  t.same(living(), [])
})

t.test('what outlives its program is ended, whether or not it holds the output', async (t) => {
  const { app, living } = await serveMarked(t, {
    holds: ['sleep 1000 & echo hi'],
    silent: ['sleep 1000 >/dev/null 2>&1 & echo hi'],
    deaf: [`trap '' TERM; sleep 1000 & echo hi`, { kill_after: '100ms' }],
    short: ['(sleep 0.05; echo later) & echo hi'],
  })
  for (const worker of ['holds', 'silent', 'deaf']) {
    const task = await perform(app, worker)
    t.match(task, { status: 'completed', output: { exitCode: 0, output: 'hi\n' } }, worker)
    t.same(living(), [], worker)
  }
  t.equal(resultOf(await perform(app, 'short')).output, 'hi\nlater\n', 'it has a moment to end')
})

t.test('one that leaves the group cannot hold the task by holding the output', async (t) => {
  const { app, living } = await serveMarked(t, { daemon: ['setsid sleep 1000 & echo hi'] })
  t.teardown(() => {
    for (const pid of living()) process.kill(pid, 'SIGKILL')
  })
  const task = await perform(app, 'daemon')
  t.match(task, { status: 'completed', output: { output: 'hi\n' } })
})

t.test('one that has ended counts as gone, even if nobody asks how', async (t) => {
  // The parent leaves the group and does not wait for its child, which so stays a zombie of the group.
  const script = `use POSIX;
    exit if fork;
    exit unless my $child = fork;
    POSIX::setsid(); print "$child\\n"; close STDOUT; close STDERR; sleep 1000`
  const untested = 'zombies in a group'
  const perl = program(t, { names: ['perl'], debian: 'perl-base', untested })
  if (perl === undefined) return
  const mark = randomUUID()
  const command = [perl, '-e', script]
  const { app } = await serve(t, { zombie: { command, env: { MARK: mark } } })
  t.teardown(() => {
    for (const pid of processesWith('MARK', mark)) process.kill(pid, 'SIGKILL')
  })
  const task = await perform(app, 'zombie')
  t.match(task, { status: 'completed', output: { exitCode: 0, output: /^\d+\n$/ } })
  const child = String(resultOf(task).output).trim()
  t.match(readFileSync(`/proc/${child}/stat`, 'utf8'), /^\d+ \(perl\) Z /)
})

t.test('a task that is canceled before it begins starts nothing', async (t) => {
  const { app, living, ready } = await serveMarked(t, {
    wait: [`${READY}; sleep 1000`, { maxNumTasks: 1 }],
  })
  const first = await submit(app, 'wait')
  const second = await submit(app, 'wait')
  await ready()
  await app.errand.act(second, 'cancel')
  await app.errand.act(first, 'cancel')
  t.equal((await settled(app, second)).status, 'canceled')
  await settled(app, first)
  t.same(living(), [])
})

for (const [how, stop] of [
  ['its grace over', (server) => server.signal('SIGTERM')],
  [
    'told twice',
    (server) => {
      server.signal('SIGTERM')
      setTimeout(() => server.signal('SIGTERM'), 200)
    },
  ],
] satisfies [string, (server: ServerProcess) => void][]) {
  t.test(`a server that stops, ${how}, leaves no process behind`, async (t) => {
    const mark = randomUUID()
    const worker = { description: 'Is deaf', shell: true, command: `sh -c "${DEAF}" & ${DEAF}` }
    const folder = t.testdir({
      'c.yaml': stringify({ workers: { deaf: { ...worker, env: { MARK: mark } } } }),
    })
    const grace = how === 'told twice' ? '20s' : '100ms'
    const args = ['--commands', join(folder, 'c.yaml'), '--grace', grace]
    const server = await ServerProcess.start(t, args)
    t.equal((await server.submit('deaf')).status, 202)
    await until(() => existsSync(join(folder, 'ready')))
    t.not(processesWith('MARK', mark).length, 0)
    stop(server)
    await server.exit()
    await until(() => processesWith('MARK', mark).length === 0)
  })
}

t.test('1,000 tasks leave no process, pipe, timer, listener or file behind', async (t) => {
  const { app, folder } = await serve(t, {
    print: { command: ['echo', '{{n}}'], input: { n: 'integer' }, maxNumTasks: 20 },
    read: { command: ['cat'], stdin: 'json', input: { n: 'integer' }, maxNumTasks: 20 },
    fail: { command: ['false'], maxNumTasks: 20 },
    cancel: { command: ['sleep', '1000'], maxNumTasks: 50 },
  })
  await perform(app, 'print', { n: 0 })
  const resources = () =>
    process
      .getActiveResourcesInfo()
      .filter((name) => !/Immediate/.test(name))
      .sort()
  // A handle is closed in the turn after its process has ended.
  await until(() => !resources().includes('ProcessWrap'))
  const descriptors = () => readdirSync('/proc/self/fd').length
  const before = {
    resources: resources(),
    descriptors: descriptors(),
    listeners: process.listenerCount('exit'),
  }
  const all = [
    ...(await app.errand.submitAll(
      'print',
      Array.from({ length: 400 }, (_, n) => ({ n })),
    )),
    ...(await app.errand.submitAll(
      'read',
      Array.from({ length: 300 }, (_, n) => ({ n })),
    )),
    ...(await app.errand.submitAll('fail', new Array(200).fill({}))),
  ].map(({ task }) => task.id)
  const canceled = (await app.errand.submitAll('cancel', new Array(100).fill({}))).map(
    ({ task }) => task.id,
  )
  // Half of them run by now, the others queue.
  await until(async () => (await app.errand.get(canceled[49] ?? '')).status === 'running', 60_000)
  await Promise.all(canceled.map((id) => app.errand.act(id, 'cancel')))
  const tasks = await Promise.all([...all, ...canceled].map((id) => settled(app, id)))
  const counts = Map.groupBy(tasks, ({ status }) => status)
  t.same([...counts].map(([status, { length }]) => [status, length]).sort(), [
    ['canceled', 100],
    ['completed', 700],
    ['failed', 200],
  ])
  t.same(children(), [])
  await until(() => descriptors() <= before.descriptors)
  await until(() => !resources().includes('ProcessWrap'))
  t.same(resources(), before.resources)
  t.equal(process.listenerCount('exit'), before.listeners)
  t.same(readdirSync(folder), ['commands.yaml'])
})
