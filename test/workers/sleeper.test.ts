import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { TaskEvent } from '../../src/engine/events.ts'
import type { Json } from '../../src/task/json.ts'
import { inStatus, perform, settled, startApp, submit } from './perform.ts'

function sleptMs(output: Json | undefined): number {
  return (output as unknown as { sleptMs: number }).sleptMs
}

t.test('it sleeps as long as it is told', async (t) => {
  const app = await startApp(t)
  const began = performance.now()
  const task = await perform(app, 'sleeper', { durationMs: 250 })
  t.ok(performance.now() - began >= 250)
  t.match(task, { status: 'completed', progress: { done: 250, total: 250 } })
  t.ok(sleptMs(task.output) >= 250)
  t.match(await perform(app, 'sleeper', { durationMs: 0 }), {
    status: 'completed',
    output: { sleptMs: 0 },
  })
})

t.test('a minute unless told otherwise, a day at most', async (t) => {
  const app = await startApp(t)
  const id = await submit(app, 'sleeper')
  t.same((await app.errand.get(id)).input, { durationMs: 60_000 })
  for (const durationMs of [-1, 1.5, 86_400_001, '1000']) {
    await t.rejects(app.errand.submit('sleeper', { durationMs }), { code: 'invalid-input' })
  }
})

t.test('progress grows while it sleeps', async (t) => {
  const app = await startApp(t)
  const seen: number[] = []
  const enough = Promise.withResolvers<void>()
  const onEvent = (event: TaskEvent) => {
    if (event.type !== 'progress') return
    seen.push(event.progress.done)
    if (seen.length === 3) enough.resolve()
  }
  const subscription = app.errand.events.subscribe({ onEvent, onEnd: () => {} })
  t.teardown(() => subscription.close())
  const id = await submit(app, 'sleeper', { durationMs: 3_600_000 })
  await enough.promise
  t.ok((seen[0] ?? 0) < (seen[1] ?? 0) && (seen[1] ?? 0) < (seen[2] ?? 0), `${seen}`)
  await app.errand.act(id, 'cancel')
  await settled(app, id)
})

t.test('a pause stops its clock', async (t) => {
  const app = await startApp(t)
  const id = await submit(app, 'sleeper', { durationMs: 300 })
  await inStatus(app, id, 'running')
  await app.errand.act(id, 'pause')
  // Longer than it had left: only a clock that stands still keeps it from its end.
  await sleep(800)
  t.match(await app.errand.get(id), { status: 'paused' })
  await app.errand.act(id, 'resume')
  const task = await settled(app, id)
  t.equal(task.status, 'completed')
  t.ok(sleptMs(task.output) >= 300, 'it slept all it should')
  t.ok(sleptMs(task.output) < 800, `the pause is not counted: ${sleptMs(task.output)}`)
  t.ok((task.finishedAt ?? 0) - task.createdAt >= 1_000, 'and the pause was one')
})

t.test('a cancel ends it at once, even while it is paused', async (t) => {
  const app = await startApp(t)
  for (const pauseFirst of [false, true]) {
    const id = await submit(app, 'sleeper', { durationMs: 3_600_000 })
    await inStatus(app, id, 'running')
    if (pauseFirst) await app.errand.act(id, 'pause')
    const began = performance.now()
    await app.errand.act(id, 'cancel')
    t.match(await settled(app, id), { status: 'canceled', error: { code: 'canceled' } })
    t.ok(performance.now() - began < 2_000, 'without sleeping on')
  }
})
