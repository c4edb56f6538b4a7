import t from 'tap'
import { until } from '../until.ts'
import { type Answer, jsonError, startAws } from './aws/aws-server.ts'
import { call, callOf, resultOf } from './aws/call.ts'
import { settled, startApp, submit } from './perform.ts'

const CLOSED_WITHIN_MS = 100
const Bucket = 'photos'

t.test('bucket_exists waits until there is one', async (t) => {
  let left = 3
  const handler = () => (left-- > 0 ? { status: 404 } : { status: 200 })
  const [app, aws] = await Promise.all([startApp(t), startAws(t, handler)])
  const task = await call(app, aws.url, {
    client: 's3',
    waiter: 'bucket_exists',
    parameters: { Bucket, WaiterConfig: { Delay: 0.05, MaxAttempts: 10 } },
  })
  t.same(resultOf(task), {
    ResponseMetadata: { RequestId: 'request-1', HTTPStatusCode: 200, RetryAttempts: 0 },
  })
  t.same(
    aws.requests.map(({ operation }) => operation),
    Array(4).fill('HEAD /photos/'),
  )
  t.ok(aws.sockets.size <= 1)
  t.match(task.progress, { done: 4, message: 'attempt 4: answered (200)' })
})

t.test('an error can be what a waiter waits for', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => ({ status: 404 }))])
  const input = { client: 's3', waiter: 'bucket_not_exists', parameters: { Bucket } }
  t.match(resultOf(await call(app, aws.url, input)), { ResponseMetadata: { HTTPStatusCode: 404 } })
})

t.test(
  'it ends with waiter-failed after the attempts that are allowed, without a last delay',
  async (t) => {
    const [app, aws] = await Promise.all([startApp(t), startAws(t, () => ({ status: 404 }))])
    const at = performance.now()
    const task = await call(app, aws.url, {
      client: 's3',
      waiter: 'bucket_exists',
      parameters: { Bucket, WaiterConfig: { MaxAttempts: 1 } },
    })
    t.ok(performance.now() - at < 4_000)
    t.match(task.error, {
      code: 'waiter-failed',
      message: /ended after one attempt: .*the last answer was NotFound \(404\)\.$/,
      retryable: true,
    })
    t.equal(aws.requests.length, 1)
  },
)

t.test('it ends with waiter-failed where what it waits for cannot come any more', async (t) => {
  const reservations = `<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceState><name>terminated</name></instanceState></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => ({ body: reservations }))])
  const parameters = { InstanceIds: ['i-1'] }
  const input = { client: 'ec2', waiter: 'instance_running', parameters }
  const task = await call(app, aws.url, input)
  t.match(task.error, { code: 'waiter-failed', retryable: false })
  t.equal(aws.requests.length, 1)
})

t.test('what no attempt mends ends it at once', async (t) => {
  let answer: Answer = {}
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => answer)])
  const head = { client: 's3', waiter: 'bucket_exists', parameters: { Bucket } }
  const table = { client: 'dynamodb', waiter: 'table_exists', parameters: { TableName: 't' } }
  const cases: [input: object, answer: Answer, code: string][] = [
    [head, { status: 403 }, 'access-denied'],
    [table, jsonError('AccessDeniedException', 'No.'), 'access-denied'],
    [{ ...head, aws_secret_access_key: 'wrong' }, {}, 'access-denied'],
    [{ ...table, aws_secret_access_key: 'wrong' }, {}, 'login-refused'],
    [{ ...head, parameters: { Buckt: 'x' } }, {}, 'invalid-parameters'],
    [{ ...head, parameters: { Bucket, WaiterConfig: { Dealy: 1 } } }, {}, 'invalid-parameters'],
    [{ ...head, endpoint_url: 'http://169.254.169.254' }, {}, 'egress-denied'],
  ]
  for (const [input, given, code] of cases) {
    answer = given
    const { error } = await call(app, aws.url, input)
    t.match(error, { code, retryable: false }, JSON.stringify(error))
  }
})

t.test('the timeout of the call bounds it, and says what the last answer was', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => ({ status: 404 }))])
  const input = { client: 's3', waiter: 'bucket_exists', parameters: { Bucket }, timeout: 300 }
  const { error } = await call(app, aws.url, input)
  t.match(error, {
    code: 'timeout',
    message: /longer than 300 ms; the last answer was NotFound \(404\)\.$/,
  })
})

t.test('a cancel ends it between two attempts, and within one', async (t) => {
  let isSilent = false
  const handler = () => (isSilent ? undefined : { status: 404 })
  const [app, aws] = await Promise.all([startApp(t), startAws(t, handler)])
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const input = callOf(aws.url, {
    client: 's3',
    waiter: 'bucket_exists',
    parameters: { Bucket, WaiterConfig: { Delay: 3_000 } },
  })
  const before = timers()
  for (const silent of [false, true]) {
    isSilent = silent
    const asked = aws.requests.length
    const id = await submit(app, 'aws', input)
    await until(() => aws.requests.length > asked && (silent || aws.sockets.size === 0))
    const at = performance.now()
    await app.errand.act(id, 'cancel')
    await until(async () => (await app.errand.get(id)).status === 'canceled')
    await until(() => aws.sockets.size === 0)
    const took = performance.now() - at
    t.ok(took < CLOSED_WITHIN_MS, `ended in ${took} ms`)
    t.equal((await settled(app, id)).status, 'canceled')
  }
  await until(() => timers() <= before)
})
