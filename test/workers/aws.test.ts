import t from 'tap'
import { type Handler, startAws } from './aws/aws-server.ts'
import { call, callOf, resultOf } from './aws/call.ts'
import { smallAws } from './aws/small-aws.ts'
import { startApp } from './perform.ts'

const BINARY = Buffer.from([0, 255, 254, 10, 13, 128])

t.test(
  'sts get_caller_identity: who the keys belong to, and the metadata as boto3 has it',
  async (t) => {
    const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
    const task = await call(app, aws.url, { client: 'sts', service: 'get_caller_identity' })
    t.same(resultOf(task), {
      UserId: 'AIDAEXAMPLE',
      Account: '123456789012',
      Arn: 'arn:aws:iam::123456789012:user/anna',
      ResponseMetadata: { RequestId: 'request-1', HTTPStatusCode: 200, RetryAttempts: 0 },
    })
    t.match(aws.requests, [
      { service: 'sts', region: 'eu-central-1', operation: 'GetCallerIdentity' },
    ])
  },
)

t.test('a session token goes with the request', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const input = {
    client: 'sts',
    service: 'get_caller_identity',
    session_token: 'token/of+session==',
  }
  resultOf(await call(app, aws.url, input))
  t.equal(aws.requests[0]?.headers['x-amz-security-token'], 'token/of+session==')
})

t.test('s3: buckets with their times, objects as text and as bytes, both ways', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const s3 = async (service: string, parameters: object) =>
    resultOf(await call(app, aws.url, { client: 's3', service, parameters }))
  t.match(await s3('list_buckets', {}), {
    Buckets: [{ Name: 'photos', CreationDate: '2024-02-29T12:00:00.000Z' }],
    Owner: { ID: 'me' },
    ResponseMetadata: { RequestId: 'request-1', HostId: 'H1', HTTPStatusCode: 200 },
  })
  const bodies = ['', 'Grüße\n', '\ufeffmit BOM', { $base64: BINARY.toString('base64') }]
  for (const [i, Body] of bodies.entries()) {
    const object = { Bucket: 'photos', Key: `a folder/ä & b+c~(${i})*.txt` }
    const put = await s3('put_object', { ...object, Body, Metadata: { color: 'blue' } })
    t.match(put, { ETag: /^"[0-9a-f]{32}"$/ })
    const got = await s3('get_object', object)
    t.same(got.Body, Body)
    t.match(got, { LastModified: '1970-01-01T00:00:00.000Z', Metadata: { color: 'blue' } })
    // What was given can be given again.
    t.match(await s3('put_object', { ...object, Body: got.Body }), { ETag: put.ETag })
  }
})

t.test('dynamodb: binary is base64, numbers are texts, as its JSON has them', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const Item = {
    id: { S: 'a' },
    age: { N: '12345678901234567890.5' },
    blob: { B: BINARY.toString('base64') },
    blobs: { BS: [BINARY.toString('base64'), 'AA=='] },
    nested: { M: { list: { L: [{ BOOL: true }, { NULL: true }] } } },
  }
  const dynamodb = { client: 'dynamodb' }
  resultOf(
    await call(app, aws.url, {
      ...dynamodb,
      service: 'put_item',
      parameters: { TableName: 'people', Item },
    }),
  )
  const got = await call(app, aws.url, {
    ...dynamodb,
    service: 'get_item',
    parameters: { TableName: 'people', Key: { id: { S: 'a' } } },
  })
  t.same(resultOf(got).Item, Item)
})

t.test('the clients of boto3 that the SDK has under other names', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const groups = await call(app, aws.url, { client: 'logs', service: 'describe_log_groups' })
  t.match(resultOf(groups), {
    logGroups: [{ logGroupName: '/app', creationTime: 1_700_000_000_000 }],
  })
  const execution = await call(app, aws.url, {
    client: 'stepfunctions',
    service: 'start_execution',
    parameters: { stateMachineArn: 'arn:aws:states:eu-central-1:1:stateMachine:m', input: '{}' },
  })
  t.match(resultOf(execution), { startDate: '2023-11-14T22:13:20.500Z' })
  const sent = await call(app, aws.url, {
    client: 'sqs',
    service: 'send_message',
    parameters: { QueueUrl: 'https://sqs.eu-central-1.amazonaws.com/1/q', MessageBody: 'hello' },
  })
  t.match(resultOf(sent), { MessageId: 'm-1' })
  t.same(
    aws.requests.map(({ service, operation }) => `${service} ${operation}`),
    ['logs DescribeLogGroups', 'states StartExecution', 'sqs SendMessage'],
  )
})

t.test('times go in as texts of ISO 8601 or as seconds', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => ({ body: '{}' }))])
  const times = [
    ['2024-02-29T12:00:00.250Z', 1_709_208_000.25],
    ['2024-02-29T13:00:00+01:00', 1_709_208_000],
    ['2024-02-29T12:00:00', 1_709_208_000],
    ['2024-02-29', 1_709_164_800],
    [1_709_208_000, 1_709_208_000],
  ]
  for (const [ExpirationDate] of times) {
    const parameters = { IamRole: 'r', ExpirationDate }
    resultOf(await call(app, aws.url, { client: 'ssm', service: 'create_activation', parameters }))
  }
  const sent = aws.requests.map(({ body }) => JSON.parse(`${body}`).ExpirationDate)
  t.same(
    sent,
    times.map(([, seconds]) => seconds),
  )
  const parameters = { IamRole: 'r', ExpirationDate: 'tomorrow' }
  const task = await call(app, aws.url, { client: 'ssm', service: 'create_activation', parameters })
  t.match(task.error, { code: 'invalid-parameters', message: /ISO 8601/ })
})

t.test('lambda invoke: a payload is text, as it is the whole body', async (t) => {
  const handler: Handler = ({ body }) => ({ body: `{"got":${body}}` })
  const [app, aws] = await Promise.all([startApp(t), startAws(t, handler)])
  const parameters = { FunctionName: 'greet', Payload: '{"name":"Grace"}' }
  const task = await call(app, aws.url, { client: 'lambda', service: 'invoke', parameters })
  t.match(resultOf(task), { StatusCode: 200, Payload: '{"got":{"name":"Grace"}}' })
})

t.test(
  'what tells a repeated request from a new one is the same for each attempt of a task',
  async (t) => {
    const handler: Handler = () => ({ status: 500, body: '' })
    const [app, aws] = await Promise.all([startApp(t), startAws(t, handler)])
    const parameters = { ImageId: 'ami-1', MinCount: 1, MaxCount: 1 }
    const input = callOf(aws.url, { client: 'ec2', service: 'run_instances', parameters })
    const { task } = await app.errand.submit('aws', input, { retry: { retries: 2, delayMs: 1 } })
    await app.errand.wait(task.id, 30_000)
    const tokens = aws.requests.map(({ body }) => new URLSearchParams(`${body}`).get('ClientToken'))
    t.equal(tokens.length, 3)
    t.match(tokens[0], /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    t.equal(new Set(tokens).size, 1)
  },
)

t.test('what is not there is refused with the names that are', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const refused: [input: object, code: string, message: RegExp][] = [
    [{ client: 'lamda', service: 'invoke' }, 'unknown-client', /did you mean lambda\?/],
    [
      { client: 'kms', service: 'encrypt' },
      'client-not-installed',
      /npm install @aws-sdk\/client-kms/,
    ],
    [{ client: 'elbv2', service: 'x' }, 'client-not-installed', /client-elastic-load-balancing-v2/],
    [{ client: 's3', service: 'list_bucket' }, 'unknown-service', /did you mean list_buckets\?/],
    [{ client: 's3', service: 'ListBuckets' }, 'invalid-input', /service/],
    [{ client: 's3', waiter: 'bucket_exist' }, 'unknown-waiter', /did you mean bucket_exists\?/],
    [{ client: 'sts', waiter: 'anything' }, 'unknown-waiter', /It has none/],
    [
      { client: 's3', service: 'get_object', parameters: { Bukcet: 'a', Key: 1 } },
      'invalid-parameters',
      /Bukcet is not known \(did you mean Bucket\?\)\. parameters\.Key must be a string\. parameters\.Bucket is missing\./,
    ],
    [
      { client: 'sts', service: 'get_caller_identity', parameters: { a: 1 } },
      'invalid-parameters',
      /parameters\.a is not known/,
    ],
    [
      {
        client: 'dynamodb',
        service: 'put_item',
        parameters: { TableName: 't', Item: { id: { S: 'a', N: '1' }, b: { B: 'no base64' } } },
      },
      'invalid-parameters',
      /Item\["id"\] must have one member.*Item\["b"\]\.B must be bytes in base64/,
    ],
    [
      { client: 's3', service: 'list_buckets', parameters: { MaxBuckets: null } },
      'invalid-parameters',
      /MaxBuckets is null: leave it out/,
    ],
    [
      { client: 's3', service: 'get_object', parameters: { Bucket: '', Key: 'a' } },
      'invalid-parameters',
      /Bucket/,
    ],
  ]
  for (const [input, code, message] of refused) {
    const error = await call(app, aws.url, input).then(
      (task) => task.error,
      (error) => ({ ...error, message: JSON.stringify(error) }),
    )
    t.match(error, { code, message }, JSON.stringify(input))
  }
  t.same(aws.requests, [], 'and nothing is sent')
})

t.test('a member that is not known is refused', async (t) => {
  const app = await startApp(t)
  const input = callOf('http://localhost', { client: 's3', service: 'list_buckets', paramters: {} })
  await t.rejects(app.errand.submit('aws', input), {
    code: 'invalid-input',
    message: /did you mean parameters\?/,
  })
})

t.test('a service or a waiter is named, and not both', async (t) => {
  const app = await startApp(t)
  for (const names of [{}, { service: 'list_buckets', waiter: 'bucket_exists' }]) {
    await t.rejects(
      app.errand.submit('aws', callOf('http://localhost', { client: 's3', ...names })),
      {
        code: 'invalid-input',
      },
    )
  }
})
