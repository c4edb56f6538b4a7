import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import t from 'tap'
import { until } from '../until.ts'
import { startAws } from './aws/aws-server.ts'
import { callOf } from './aws/call.ts'
import { smallAws } from './aws/small-aws.ts'
import { settled, startApp, submit } from './perform.ts'

const NUM_TASKS = 1_000

t.test('1,000 tasks leave nothing behind', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const calls = [
    { client: 'sts', service: 'get_caller_identity' },
    { client: 's3', service: 'put_object', parameters: { Bucket: 'b', Key: 'k', Body: 'text' } },
    { client: 's3', service: 'get_object', parameters: { Bucket: 'b', Key: 'none' } },
    {
      client: 'dynamodb',
      service: 'get_item',
      parameters: { TableName: 't', Key: { id: { S: 'a' } } },
    },
    { client: 's3', waiter: 'bucket_not_exists', parameters: { Bucket: 'c' } },
  ]
  const warm = await Promise.all(
    calls.map((call) => app.errand.submit('aws', callOf(aws.url, call))),
  )
  for (const { task } of warm) await settled(app, task.id)
  await until(() => aws.sockets.size === 0)
  const before = resources()
  const files = openFiles()
  const listeners = process.listenerCount('warning')
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  const at = performance.now()
  const inputs = Array.from({ length: NUM_TASKS }, (_, i) =>
    callOf(aws.url, calls[i % calls.length] ?? {}),
  )
  const ids = await Promise.all(inputs.map((input) => submit(app, 'aws', input)))
  const ends = await Promise.all(ids.map((id) => settled(app, id)))
  t.comment(`${NUM_TASKS} tasks took ${Math.round(performance.now() - at)} ms`)
  const count = (status: string) => ends.filter((task) => task.status === status).length
  t.equal(count('completed'), (NUM_TASKS * 4) / 5)
  t.equal(count('failed'), NUM_TASKS / 5)
  await until(() => aws.sockets.size === 0)
  await until(() => resources() <= before)
  process.off('warning', onWarning)
  t.same(warnings, [])
  t.equal(process.listenerCount('warning'), listeners)
  await until(() => openFiles() <= files)
})

t.test('a server that starts has loaded nothing of the SDK', async (t) => {
  const program = `
    import { createRequire } from 'node:module'
    const { createApp } = await import(${JSON.stringify(new URL('../../src/app.ts', import.meta.url).href)})
    const app = await createApp({ logLevel: 'silent' })
    await app.ready()
    const { cache } = createRequire(${JSON.stringify(import.meta.url)})
    const loaded = () => Object.keys(cache).some((path) => /@aws-sdk|@smithy/.test(path))
    const atStart = loaded()
    const { task } = await app.errand.submit('aws', ${JSON.stringify(callOf('http://127.0.0.1:1', { client: 'sts', service: 'get_caller_identity' }))})
    await app.errand.wait(task.id, 30_000)
    console.log(atStart, loaded())
    await app.close()`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: { PATH: process.env.PATH },
    encoding: 'utf8',
  })
  t.equal(stdout, 'false true\n', stderr)
})

/** Files, pipes and sockets, where the system tells. */
function openFiles(): number {
  return existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0
}

function resources(): number {
  return process
    .getActiveResourcesInfo()
    .filter((name) => name === 'Timeout' || /TCP(Socket|Connect)Wrap|Process|FSReq/.test(name))
    .length
}
