import t from 'tap'
import { until } from '../until.ts'
import { inStatus, perform, settled, startApp, submit } from './perform.ts'

const ask = { request: 'How many?', reference: 'r-1' }

t.test('a question waits without a slot, is listed, and the first answer wins', async (t) => {
  const app = await startApp(t)
  await app.errand.configure('input', { maxNumTasks: 1 })
  const other = await submit(app, 'input', ask)
  const id = await submit(app, 'input', { ...ask, type: 'number' })
  await inStatus(app, id, 'waiting')
  const listed = await app.inject('/tasks?status=waiting&worker=input')
  t.match(listed.json(), {
    tasks: [
      { id, status: 'waiting', question: { ...ask, type: 'number' } },
      { id: other, question: { type: 'text' } },
    ],
  })
  const respond = (payload: object) =>
    app.inject({ method: 'POST', url: `/tasks/${id}/respond`, payload })
  t.match((await respond({ response: 'many' })).json(), {
    status: 400,
    code: 'invalid-answer',
    detail: /must be a number/,
  })
  t.match((await respond({})).json(), { status: 400, code: 'invalid-request' })
  t.match((await respond({ response: 1, extra: 1 })).json(), {
    status: 400,
    code: 'invalid-request',
  })
  const answers = await Promise.all([respond({ response: 5, by: 'ada' }), respond({ response: 6 })])
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [200, 409])
  t.match(answers[0]?.json(), {
    status: 'completed',
    output: { response: 5, reference: 'r-1' },
    question: { answeredBy: 'ada', answeredAt: String },
  })
  t.match((await respond({ response: 7 })).json(), { code: 'already-answered', detail: /ada/ })
  t.equal((await app.errand.worker('input')).counts.waiting, 1)
  t.match(
    (
      await app.inject({ method: 'POST', url: '/tasks/nobody/respond', payload: { response: 1 } })
    ).json(),
    { code: 'unknown-task' },
  )
})

t.test('who waits for the task is answered with the answer', async (t) => {
  const app = await startApp(t)
  const held = app.inject({ method: 'POST', url: '/workers/input?wait=20', payload: ask })
  held.then(() => {})
  const waiting = await until(
    async () => (await app.errand.list({ statuses: ['waiting'], limit: 1 })).tasks[0],
  )
  await app.errand.respond(waiting.id, 'seven', 'bob')
  t.match((await held).json(), { status: 'completed', output: { response: 'seven' } })
})

t.test('timeout is in minutes, and 0 or less is never', async (t) => {
  const app = await startApp(t)
  const expired = await submit(app, 'input', { ...ask, timeout: 0.0005 })
  t.match(await settled(app, expired), {
    status: 'failed',
    error: { code: 'input-expired', message: 'input request expired', retryable: false },
  })
  const late = await app.inject({
    method: 'POST',
    url: `/tasks/${expired}/respond`,
    payload: { response: 'x' },
  })
  t.match(late.json(), { status: 410, code: 'question-expired' })
  for (const timeout of [0, -1]) {
    const id = await submit(app, 'input', { ...ask, timeout })
    await inStatus(app, id, 'waiting')
    t.equal((await app.errand.get(id)).question?.expiresAt, undefined)
  }
  const id = await submit(app, 'input', { ...ask, timeout: 1.5 })
  await inStatus(app, id, 'waiting')
  const { question, startedAt = 0 } = await app.errand.get(id)
  t.ok(Math.abs((question?.expiresAt ?? 0) - startedAt - 90_000) < 5_000)
})

t.test('an answer is of the type that was asked for', async (t) => {
  const app = await startApp(t)
  const cases: [type: string, answer: unknown, response: unknown][] = [
    ['text', 'a', 'a'],
    ['text', '', ''],
    ['number', 1.5, 1.5],
    ['number', ' 12 ', 12],
    ['boolean', false, false],
    ['boolean', 'true', true],
    ['json', { a: [null] }, { a: [null] }],
    ['json', null, null],
  ]
  for (const [type, answer, response] of cases) {
    const id = await submit(app, 'input', { ...ask, type })
    await inStatus(app, id, 'waiting')
    t.match(await app.errand.respond(id, answer, 'a'), { output: { response } })
  }
  const bad: [string, unknown][] = [
    ['text', 1],
    ['text', null],
    ['number', ''],
    ['number', 'NaN'],
    ['number', true],
    ['boolean', 'yes'],
    ['boolean', 0],
  ]
  for (const [type, answer] of bad) {
    const id = await submit(app, 'input', { ...ask, type })
    await inStatus(app, id, 'waiting')
    await t.rejects(app.errand.respond(id, answer, 'a'), { code: 'invalid-answer' })
    t.match(await app.errand.get(id), { status: 'waiting' }, 'it goes on waiting')
  }
})

t.test('what waits can be canceled, and takes no answer then', async (t) => {
  const app = await startApp(t)
  const id = await submit(app, 'input', ask)
  await inStatus(app, id, 'waiting')
  t.match(await app.errand.act(id, 'cancel'), { status: 'canceled' })
  await t.rejects(app.errand.respond(id, 'x', 'a'), { code: 'action-not-allowed' })
  const again = await app.errand.act(id, 'restart')
  await inStatus(app, again.id, 'waiting')
  t.match(await app.errand.respond(again.id, 'x', 'a'), { status: 'completed' })
})

t.test('bad input is refused', async (t) => {
  const app = await startApp(t)
  for (const input of [
    {},
    { request: '' },
    { request: 1 },
    { ...ask, type: 'date' },
    { ...ask, timeout: '1' },
    { ...ask, timeot: 1 },
  ]) {
    await t.rejects(perform(app, 'input', input), { code: 'invalid-input' })
  }
})

t.test('thousands of questions leave nothing behind', async (t) => {
  const app = await startApp(t)
  const inserted = await app.errand.submitAll(
    'input',
    Array.from({ length: 1_000 }, () => ({ ...ask, timeout: 60 })),
  )
  await until(async () => (await app.errand.worker('input')).counts.waiting === 1_000)
  for (const { task } of inserted) await app.errand.respond(task.id, 'x', 'a')
  t.equal((await app.errand.worker('input')).counts.completed, 1_000)
})

t.test('a question shows no secret, and is answered with the secrets resolved', async (t) => {
  const secretsDir = t.testdir({ DB: 'hunter2-very-secret' })
  const app = await startApp(t, { secretsDir })
  const ref = { $secret: 'DB' }
  const id = await submit(app, 'input', { request: ref, reference: ref })
  await inStatus(app, id, 'waiting')
  t.match((await app.errand.get(id)).question, { request: '[redacted]', reference: '[redacted]' })
  t.match(await app.errand.respond(id, 'it is hunter2-very-secret', 'ada'), {
    status: 'completed',
    output: { response: 'it is [redacted]', reference: '[redacted]' },
  })
})
