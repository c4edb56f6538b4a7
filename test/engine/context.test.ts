import { mock } from 'node:test'
import t from 'tap'
import { AttemptContext, type AttemptOptions } from '../../src/engine/context.ts'
import { EgressPolicy } from '../../src/task/egress.ts'
import type { Report } from '../../src/task/store.ts'
import { TaskCanceled, TaskTimedOut } from '../../src/task/worker.ts'

function contextOf(t: { teardown(fn: () => void): void }, more: Partial<AttemptOptions> = {}) {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  t.teardown(() => mock.timers.reset())
  const reports: Report[] = []
  let aborts = 0
  const host = {
    report: (report: Report) => void reports.push(report),
    onAbort: () => void aborts++,
  }
  const context = new AttemptContext(
    {
      id: 'id',
      attempt: 1,
      filesRoot: '/',
      egress: EgressPolicy.parse(''),
      ...more,
    },
    host,
  )
  return {
    context,
    reports,
    get aborts() {
      return aborts
    },
  }
}

t.test('the signal says why, whether it was touched before or after', async (t) => {
  const before = contextOf(t).context
  const signal = before.signal
  before.abort(new TaskCanceled())
  t.ok(signal.aborted)
  t.ok(signal.reason instanceof TaskCanceled)
  const after = contextOf(t).context
  after.abort(new TaskCanceled())
  after.abort(new TaskTimedOut('timeout', 'later'))
  t.ok(after.signal.reason instanceof TaskCanceled, 'the first reason stands')
})

t.test('a timeout is the attempt’s own; a pause stops it, and not the deadline', async (t) => {
  const { context } = contextOf(t, { timeout: 100 })
  t.same(context.deadline, new Date(1_000_100))
  mock.timers.tick(60)
  context.pause()
  mock.timers.tick(10_000)
  t.equal(context.reason, undefined)
  context.resume()
  mock.timers.tick(39)
  t.equal(context.reason, undefined)
  mock.timers.tick(1)
  t.match(context.reason, { code: 'timeout' })
  const other = contextOf(t, { timeout: 100, deadline: 1_000_050 }).context
  other.pause()
  mock.timers.tick(50)
  t.match(other.reason, { code: 'deadline-exceeded' })
})

t.test('a checkpoint waits while paused, and throws once aborted', async (t) => {
  const { context } = contextOf(t)
  const none = context.usesCheckpoints(500)
  mock.timers.tick(500)
  t.equal(await none, false)
  const soon = context.usesCheckpoints(500)
  await context.checkpoint()
  t.equal(await soon, true)
  t.equal(await context.usesCheckpoints(0), true)
  const other = contextOf(t).context
  const never = other.usesCheckpoints(500)
  other.end()
  t.equal(await never, false, 'it ends without one')
  context.pause()
  let passed = 0
  const waiting = Promise.all([
    context.checkpoint().then(() => passed++),
    context.checkpoint().then(() => passed++),
  ])
  await Promise.resolve()
  t.equal(passed, 0)
  context.resume()
  await waiting
  t.equal(passed, 2)
  context.pause()
  const aborted = context.checkpoint()
  context.abort(new TaskCanceled())
  await t.rejects(aborted, { name: 'TaskCanceled' })
  await t.rejects(context.checkpoint(), { name: 'TaskCanceled' })
})

t.test('progress is told at once, then now and then, and the last always', async (t) => {
  const { context, reports } = contextOf(t)
  const told = () =>
    reports.map((report) => (report.type === 'progress' ? report.progress.done : undefined))
  for (let i = 1; i <= 50; i++) context.progress(i, 100)
  t.same(told(), [1])
  mock.timers.tick(100)
  t.same(told(), [1, 50])
  mock.timers.tick(1_000)
  context.progress(51)
  t.same(told(), [1, 50, 51])
  context.progress(52, 60, 'almost')
  context.end()
  t.same(told(), [1, 50, 51, 52])
  t.match(reports.at(-1), { progress: { done: 52, total: 60, message: 'almost' } })
  context.progress(53)
  t.equal(told().length, 4, 'nothing once it has ended')
  t.throws(() => contextOf(t).context.progress(Number.NaN), TypeError)
})

t.test('after its end nothing is reported, and no timer strikes', async (t) => {
  const subject = contextOf(t, { timeout: 10 })
  const { context, reports } = subject
  context.log.info('before')
  context.end()
  context.log.error('after')
  context.relay({ type: 'notice', notice: 'after' })
  mock.timers.tick(1_000)
  context.abort(new TaskCanceled())
  t.equal(subject.aborts, 0)
  t.match(reports, [{ type: 'log', level: 'info', message: 'before' }])
})
