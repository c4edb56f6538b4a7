/**
 * Calls to moto, which speaks more of AWS than the server of the other tests, and checks no signatures. Not
 * part of `npm test`: it is installed by pip. Run it with `npm run test:moto`; `MOTO_SERVER` names one that is
 * there already.
 */
import { type ExecFileSyncOptions, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../../until.ts'
import { startApp } from '../perform.ts'
import { call, resultOf } from './call.ts'

const PACKAGE = 'moto[server,s3,sqs,dynamodb,sts,logs,stepfunctions,ssm,secretsmanager,iam,ec2]'

t.test('the clients that come with Errand, against moto', async (t) => {
  const [app, url] = [await startApp(t), await startMoto(t)]
  const aws = async (client: string, service: string, parameters: object = {}) =>
    resultOf(await call(app, url, { client, service, parameters }))
  const wait = async (client: string, waiter: string, parameters: object) =>
    resultOf(await call(app, url, { client, waiter, parameters }))

  t.match(await aws('sts', 'get_caller_identity'), { Account: '123456789012' })

  const CreateBucketConfiguration = { LocationConstraint: 'eu-central-1' }
  await aws('s3', 'create_bucket', { Bucket: 'photos', CreateBucketConfiguration })
  await wait('s3', 'bucket_exists', { Bucket: 'photos' })
  const object = { Bucket: 'photos', Key: 'ä b/c.txt' }
  for (const Body of ['Grüße', { $base64: '/wD+' }]) {
    await aws('s3', 'put_object', { ...object, Body })
    t.same((await aws('s3', 'get_object', object)).Body, Body)
  }
  t.match(await aws('s3', 'list_objects_v2', { Bucket: 'photos' }), {
    Contents: [{ Key: object.Key, LastModified: /^\d{4}-\d\d-\d\dT/ }],
  })
  const Delete = { Objects: [{ Key: object.Key }] }
  t.match(await aws('s3', 'delete_objects', { Bucket: 'photos', Delete }), {
    Deleted: [{ Key: object.Key }],
  })

  const table = { TableName: 'people' }
  await aws('dynamodb', 'create_table', {
    ...table,
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  await wait('dynamodb', 'table_exists', table)
  const Item = { id: { S: 'a' }, age: { N: '7.5' }, data: { B: 'AP8=' } }
  await aws('dynamodb', 'put_item', { ...table, Item })
  t.match(await aws('dynamodb', 'get_item', { ...table, Key: { id: { S: 'a' } } }), { Item })

  const { QueueUrl } = await aws('sqs', 'create_queue', { QueueName: 'jobs' })
  await aws('sqs', 'send_message', { QueueUrl, MessageBody: 'hello' })
  t.match(await aws('sqs', 'receive_message', { QueueUrl }), { Messages: [{ Body: 'hello' }] })

  await aws('logs', 'create_log_group', { logGroupName: '/app' })
  t.match(await aws('logs', 'describe_log_groups'), { logGroups: [{ logGroupName: '/app' }] })
  await aws('ssm', 'put_parameter', { Name: '/a', Value: 'x', Type: 'String' })
  t.match(await aws('ssm', 'get_parameter', { Name: '/a' }), { Parameter: { Value: 'x' } })
  await aws('secretsmanager', 'create_secret', { Name: 's', SecretBinary: 'AP8=' })
  const secret = await aws('secretsmanager', 'get_secret_value', { SecretId: 's' })
  t.match(secret, { SecretBinary: 'AP8=', CreatedDate: /^\d{4}-/ })
  await aws('iam', 'create_user', { UserName: 'anna' })
  await wait('iam', 'user_exists', { UserName: 'anna' })
  t.match(await aws('stepfunctions', 'list_state_machines'), { stateMachines: [] })
  t.match(await aws('ec2', 'describe_regions', { RegionNames: ['eu-central-1'] }), {
    Regions: [{ RegionName: 'eu-central-1' }],
  })

  const none = { client: 's3', service: 'get_object', parameters: { ...object, Key: 'none' } }
  t.match((await call(app, url, none)).error, { code: 'aws-no-such-key' })
})

async function startMoto(t: Test): Promise<string> {
  const server = process.env.MOTO_SERVER ?? install(t)
  const port = await freePort()
  const moto = spawn(server, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  t.teardown(async () => {
    moto.kill()
    if (moto.exitCode === null && moto.signalCode === null) await once(moto, 'exit')
  })
  const url = `http://127.0.0.1:${port}`
  await until(
    () =>
      fetch(`${url}/moto-api/`).then(
        ({ ok }) => ok,
        () => false,
      ),
    60_000,
  )
  return url
}

function install(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'errand-moto-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'inherit'] }
  execFileSync('python3', ['-m', 'venv', folder], quiet)
  execFileSync(join(folder, 'bin/pip'), ['install', '--quiet', PACKAGE], quiet)
  return join(folder, 'bin/moto_server')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
