import type { FastifyInstance, HTTPMethods } from 'fastify'
import t from 'tap'
import { echo, failing, Gate, makeApp, settled, submit, type TaskJson } from '../../app.ts'
import { until } from '../../until.ts'

const SLASHES = ['', '/'] as const

/** As `curl` sends it: a body goes with its content type, none goes with none. */
function curl(app: FastifyInstance, method: HTTPMethods, path: string, body?: string) {
  const headers = { 'content-type': 'application/json', accept: '*/*' }
  const sent = body === undefined ? {} : { headers, payload: body }
  return app.inject({ method, url: `/tasky/v1${path}`, ...sent })
}

for (const slash of SLASHES) {
  t.test(`the example of its README, paths ending in ${slash || 'their names'}`, async (t) => {
    const app = await makeApp(t, { builtins: true })
    const workers = await curl(app, 'GET', `/workers${slash}`)
    t.equal(workers.statusCode, 200)
    t.match(workers.headers['content-type'], /^application\/json/)
    t.strictSame(
      workers
        .json<{ name: string }[]>()
        .filter(({ name }) => ['copyfile', 'ifconfig'].includes(name)),
      [
        {
          name: 'copyfile',
          description:
            'CopyFile will copy a file on the server. You must specify the Source and Destination',
          config_objects: { destination: '', source: '' },
        },
        {
          name: 'ifconfig',
          description:
            'Ifconfig will return networking details from the server. No config is needed for this worker',
        },
      ],
    )
    const sleeper = workers.json<{ name: string }[]>().find(({ name }) => name === 'sleeper')
    const description = 'Sleeps for a minute. This is to showcase long running tasks.'
    t.match(sleeper, { name: 'sleeper', description })

    const ids: string[] = []
    for (let i = 0; i < 3; i++) {
      const submitted = await curl(app, 'POST', `/workers/sleeper${slash}`, '{}')
      t.equal(submitted.statusCode, 200)
      t.strictSame(Object.keys(submitted.json()), ['TaskId'])
      ids.push(submitted.json<{ TaskId: string }>().TaskId)
    }
    await until(async () => (await app.errand.worker('sleeper')).counts.running === 3)
    const running = ids.map((TaskId) => ({ Status: 'Running', TaskId }))
    const list = async () => (await curl(app, 'GET', `/tasks${slash}`)).json()
    t.strictSame(await list(), { Tasks: running })

    const third = ids[2] ?? ''
    const canceled = await curl(app, 'POST', `/tasks/${third}/cancel${slash}`)
    t.equal(canceled.statusCode, 200)
    t.equal(canceled.body, '')
    await settled(app, third)
    const Duration = /^(0s|[\d.]+m?s)$/
    t.match(await list(), {
      Tasks: [running[0], running[1], { Duration, Status: 'Canceled', TaskId: third }],
    })

    const asked = await curl(app, 'POST', `/workers/ifconfig${slash}`, '{}')
    const { TaskId } = asked.json<{ TaskId: string }>()
    await settled(app, TaskId)
    const result = await curl(app, 'GET', `/tasks/${TaskId}/result${slash}`)
    t.equal(result.statusCode, 200)
    t.strictSame(Object.keys(result.json<object>()).sort(), ['Output', 'TaskId'])
    const address = { interface_name: String, ip_network: /\/\d+$/, mac_address: String }
    t.match(result.json(), { Output: { Interfaces: [address] }, TaskId })
    const status = await curl(app, 'GET', `/tasks/${TaskId}/status${slash}`)
    t.match(status.json(), { Duration, Status: 'Completed', TaskId })
    t.strictSame(Object.keys(status.json<object>()).sort(), ['Duration', 'Status', 'TaskId'])
  })
}

t.test('each status has the name that Go-Tasky has for it', async (t) => {
  const gate = new Gate('gate', { maxNumTasks: 2 })
  const stubborn = new Gate('stubborn', { stubborn: true })
  const app = await makeApp(t, { workers: [echo, failing], gates: [gate, stubborn] })
  const { id: paused } = await submit(app, 'gate', { label: 'paused' })
  const { id: running } = await submit(app, 'gate', { label: 'running' })
  const { id: queued } = await submit(app, 'gate', { label: 'queued' })
  const { id: scheduled } = await submit(app, 'gate', { label: 'later' }, { delay: '1h' })
  const { id: canceling } = await submit(app, 'stubborn')
  const { id: completed } = await submit(app, 'echo', { text: 'a' })
  const { id: failed } = await submit(app, 'failing', { retryable: false })
  await Promise.all([gate.arrived('running'), stubborn.arrived(), settled(app, completed)])
  await settled(app, failed)
  await app.inject({ method: 'POST', url: `/tasks/${paused}/pause` })
  await app.inject({ method: 'POST', url: `/tasks/${canceling}/cancel` })
  for (const [id, Status] of [
    [paused, 'Running'],
    [running, 'Running'],
    [queued, 'Started'],
    [scheduled, 'Started'],
    [canceling, 'Running'],
  ] as const) {
    t.strictSame((await curl(app, 'GET', `/tasks/${id}/status`)).json(), { Status, TaskId: id })
    const result = await curl(app, 'GET', `/tasks/${id}/result/`)
    t.equal(result.statusCode, 200, 'no result yet')
    t.equal(result.body, '')
  }
  await curl(app, 'POST', `/tasks/${queued}/cancel`)
  const neverRan = { Status: 'Canceled', TaskId: queued }
  t.strictSame((await curl(app, 'GET', `/tasks/${queued}/status`)).json(), neverRan)
  const lost = await curl(app, 'GET', `/tasks/${failed}/status`)
  t.match(lost.json(), { Status: 'Failed', TaskId: failed, Duration: String })
  const why = await curl(app, 'GET', `/tasks/${failed}/result`)
  t.strictSame(why.json(), { Error: 'It was not to be.', TaskId: failed })
})

t.test('errors have their real status and stand as Error', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { workers: [echo], gates: [gate], bodyLimit: 2_000 })
  const { id } = await submit(app, 'echo', { text: 'a' })
  await settled(app, id)
  for (const slash of SLASHES) {
    for (const [status, method, path, body] of [
      [404, 'POST', '/workers/none', '{}'],
      [404, 'GET', '/tasks/none/status', undefined],
      [404, 'GET', '/tasks/none/result', undefined],
      [404, 'POST', '/tasks/none/cancel', undefined],
      [409, 'POST', `/tasks/${id}/cancel`, undefined],
      [400, 'POST', '/workers/echo', '{}'],
      [400, 'POST', '/workers/echo', '{'],
      [400, 'POST', '/workers/echo', '{"__proto__":{}}'],
      [413, 'POST', '/workers/echo', `{"text":"${'x'.repeat(2_000)}"}`],
    ] as const) {
      const response = await curl(app, method, `${path}${slash}`, body)
      t.equal(response.statusCode, status, `${method} ${path}${slash}`)
      t.match(response.headers['content-type'], /^application\/json/)
      t.strictSame(Object.keys(response.json()), ['Error'])
      t.type(response.json<{ Error: string }>().Error, 'string')
    }
  }
})

t.test('an address that is not there has its Error too', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const path of ['/nothing', '/tasks/a', '/tasks/a/logs', '/workers/echo/x']) {
    const response = await curl(app, 'GET', path)
    t.equal(response.statusCode, 404)
    t.match(response.json(), { Error: String })
  }
})

t.test('a method that an address does not have gets an Error, and those it has', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  for (const slash of SLASHES) {
    for (const [method, path, allow] of [
      ['PUT', '/workers', 'GET, HEAD'],
      ['GET', '/workers/echo', 'POST'],
      ['OPTIONS', '/tasks', 'GET, HEAD'],
      ['POST', '/tasks/a/status', 'GET, HEAD'],
      ['GET', '/tasks/a/cancel', 'POST'],
    ] as const) {
      const response = await curl(app, method, `${path}${slash}`)
      t.equal(response.statusCode, 405, `${method} ${path}${slash}`)
      t.equal(response.headers.allow, allow)
      t.strictSame(Object.keys(response.json()), ['Error'])
    }
  }
})

t.test('names are known in any case, and tasks are the same by either door', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const submitted = await curl(app, 'POST', '/workers/Echo', '{"text":"a"}')
  t.equal(submitted.statusCode, 200)
  const { TaskId } = submitted.json<{ TaskId: string }>()
  t.match(await settled(app, TaskId), { id: TaskId, worker: 'echo', output: { text: 'a' } })
  const { id } = await submit(app, 'echo', { text: 'b' })
  await settled(app, id)
  const result = await curl(app, 'GET', `/tasks/${id}/result`)
  t.strictSame(result.json(), { Output: { text: 'b' }, TaskId: id })
})

t.test('the list is of the newest 500 tasks, oldest first', async (t) => {
  const app = await makeApp(t, { workers: [echo] })
  const payload = Array.from({ length: 510 }, () => ({ text: 'a' }))
  const batch = await app.inject({ method: 'POST', url: '/workers/echo/batch', payload })
  const ids = batch.json<{ tasks: TaskJson[] }>().tasks.map(({ id }) => id)
  const { Tasks } = (await curl(app, 'GET', '/tasks')).json<{ Tasks: { TaskId: string }[] }>()
  t.strictSame(
    Tasks.map(({ TaskId }) => TaskId),
    ids.slice(-500),
  )
})
