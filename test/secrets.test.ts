import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { ServerProcess } from './server-process.ts'
import { until } from './until.ts'

const WORKER = `
import { defineWorker, TaskError, Type } from 'errand'
export default defineWorker({
  name: 'leaky',
  details: {
    description: 'Says its password wherever it can',
    input: Type.Object({
      how: Type.String(),
      password: Type.String({ writeOnly: true }),
      nested: Type.Optional(Type.Array(Type.Object({ key: Type.String({ writeOnly: true }) }))),
    }),
  },
  retry: { retries: 1, delayMs: 1 },
  maxNumTasks: 50,
  signal() {
    throw new Error('signal ' + globalThis.leaked)
  },
  async perform({ how, password, nested = [] }, task) {
    globalThis.leaked = password
    const all = [password, ...nested.map(({ key }) => key)].join(' ')
    const basic = Buffer.from('user:' + password).toString('base64')
    for (const level of ['debug', 'info', 'warn', 'error']) task.log[level](level + ' ' + all)
    task.log.info('Authorization: Basic ' + basic)
    task.log.info('?q=' + encodeURIComponent(all))
    task.progress(1, 2, 'with ' + all)
    const said = { all, [all]: [all], basic, json: JSON.stringify({ all }), hex: Buffer.from(password).toString('hex') }
    if (how === 'output') return said
    if (how === 'wait') await new Promise((resolve) => task.signal.addEventListener('abort', resolve))
    if (how === 'error') throw new Error('failed with ' + all)
    if (how === 'object') throw { all }
    if (how === 'string') throw all
    if (how === 'code') throw new TaskError(password, 'm')
    throw new TaskError('leaked', 'failed with ' + all, { output: said, cause: new Error(all) })
  },
})`

const HOWS = ['output', 'error', 'object', 'string', 'code', 'task-error']

/** Everything that a server sends about a task, wherever it can be asked. */
async function readAll(url: string, id: string): Promise<string> {
  const paths = ['', '/status', '/result', '/logs', '/logs?follow', '/events'].map(
    (form) => `/tasks/${id}${form}`,
  )
  const tasky = ['/status', '/result'].map((form) => `/tasky/v1/tasks/${id}${form}`)
  const answers = await Promise.all(
    [...paths, ...tasky].map(async (path) => (await fetch(url + path)).text()),
  )
  return answers.join('\n')
}

/** All that a server ever says on a stream, until it is closed. */
function listen(t: Test, address: string): { said: string } {
  const heard = { said: '' }
  const closed = new AbortController()
  t.teardown(() => closed.abort())
  const read = async () => {
    const { body } = await fetch(address, { signal: closed.signal })
    for await (const chunk of body ?? []) heard.said += Buffer.from(chunk).toString()
  }
  read().catch(() => {})
  return heard
}

t.test('of marked secrets the server never writes a byte', async (t) => {
  const secrets = Array.from(
    { length: 4 },
    (_, i) => `s${i}/${randomBytes(9).toString('base64')}"ü`,
  )
  const [password = '', key = '', named = '', filed = ''] = secrets
  const folder = t.testdir({ workers: { 'leaky.ts': WORKER }, secrets: { FILED: `${filed}\n` } })
  const server = await ServerProcess.start(t, ['--log-level', 'trace'], {
    env: {
      ERRAND_WORKERS: `${folder}/workers`,
      ERRAND_SECRETS_DIR: `${folder}/secrets`,
      ERRAND_SECRET_NAMED: named,
    },
  })
  const { url } = server
  const events = listen(t, `${url}/events`)
  let written = ''
  const post = async (path: string, body: unknown) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url + path, { method: 'POST', headers, body: text })
    const answer = await response.text()
    written += answer
    return answer
  }
  const ids: string[] = []
  for (const how of HOWS) {
    for (const input of [
      { how, password, nested: [{ key }] },
      { how, password: { $secret: 'NAMED' }, nested: [{ key: { $secret: 'FILED' } }] },
    ]) {
      ids.push(JSON.parse(await post('/workers/leaky?wait=30', input)).id)
    }
  }
  const waiting = JSON.parse(await post('/workers/leaky', { how: 'wait', password })).id
  await until(async () =>
    /running/.test(await (await fetch(`${url}/tasks/${waiting}/status`)).text()),
  )
  const stream = listen(t, `${url}/tasks/${waiting}/events`)
  await until(() => stream.said.includes('event: status'))
  for (const action of ['pause', 'cancel']) await post(`/tasks/${waiting}/${action}?wait=20`, '')
  ids.push(waiting)
  // What is refused must not be sent back either.
  await post('/workers/leaky', { how: 5, password })
  await post('/workers/leaky', { how: 'x', password, pasword: password })
  await post('/workers/leaky', { how: 'x', password: { value: password } })
  await post('/workers/leaky', `{"how": "x", "password": "${password}`)
  await post('/workers/leaky/batch', [{ how: 'output', password }, { password }])
  await post('/tasks', { worker: 'leaky', input: { how: 'x', password }, priority: password })
  await post('/tasky/v1/workers/leaky', { how: 'output', password })
  for (const id of ids) written += await readAll(url, id)
  written += await (await fetch(`${url}/tasks?worker=leaky`)).text()
  written += await (await fetch(`${url}/tasky/v1/tasks`)).text()
  written += await (await fetch(`${url}/workers/leaky`)).text()
  server.signal('SIGTERM')
  await server.exit()
  written += events.said + stream.said + server.stdout + server.stderr
  t.ok(written.length > 20_000, `${written.length} characters were read`)
  t.ok(written.split('[redacted]').length > 100, 'it was there to be hidden')
  t.match(server.stdout, /worker threw/, 'the log was read')
  for (const [i, secret] of secrets.entries()) {
    const bytes = Buffer.from(secret)
    const forms = {
      plain: secret,
      json: JSON.stringify(secret).slice(1, -1),
      url: encodeURIComponent(secret),
      hex: bytes.toString('hex'),
      base64: bytes.toString('base64').slice(0, -4),
      'base64 after user:': Buffer.from(`user:${secret}`).toString('base64').slice(8, -4),
      core: secret.slice(3, 15),
    }
    for (const [form, text] of Object.entries(forms))
      t.notOk(written.includes(text), `secret ${i} as ${form}`)
  }
})
