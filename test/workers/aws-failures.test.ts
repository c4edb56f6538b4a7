import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { program } from '../program.ts'
import { until } from '../until.ts'
import { type Answer, jsonError, queryError, s3Error, startAws } from './aws/aws-server.ts'
import { call, callOf, resultOf } from './aws/call.ts'
import { smallAws } from './aws/small-aws.ts'
import { perform, settled, startApp, submit } from './perform.ts'

const CLOSED_WITHIN_MS = 100

t.test('credentials that are not taken are login-refused, in every protocol', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const calls = [
    { client: 'sts', service: 'get_caller_identity' },
    { client: 's3', service: 'list_buckets' },
    { client: 'dynamodb', service: 'list_tables' },
  ]
  const secret = 'another-secret-which-nobody-may-read'
  const codes: string[] = []
  for (const input of calls) {
    for (const wrong of [{ aws_secret_access_key: secret }, { aws_access_key_id: 'AKIANOBODY' }]) {
      const { error, output } = await call(app, aws.url, { ...input, ...wrong })
      t.match(error, { code: 'login-refused', retryable: false })
      t.notMatch(error?.message, /Canonical|another-secret/)
      codes.push(String(Object(output).result?.Error?.Code))
    }
  }
  t.same(codes, [
    'SignatureDoesNotMatch',
    'InvalidClientTokenId',
    'SignatureDoesNotMatch',
    'InvalidAccessKeyId',
    'InvalidSignatureException',
    'UnrecognizedClientException',
  ])
  t.same(aws.requests, [])
})

t.test('what AWS refuses has its name for it, and says whether to try again', async (t) => {
  let answer: Answer = {}
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => answer)])
  const s3 = { client: 's3', service: 'get_object', parameters: { Bucket: 'b', Key: 'k' } }
  const ec2 = { client: 'ec2', service: 'describe_instances' }
  const table = { client: 'dynamodb', service: 'describe_table', parameters: { TableName: 't' } }
  const cases: [input: object, answer: Answer, code: string, retryable: boolean][] = [
    [s3, s3Error('NoSuchKey', 'None.', 404), 'aws-no-such-key', false],
    [s3, s3Error('AccessDenied', 'No.', 403), 'access-denied', false],
    [s3, s3Error('SlowDown', 'Reduce your rate.', 503), 'throttled', true],
    [s3, s3Error('InternalError', 'We met an error.', 500), 'aws-internal-error', true],
    [s3, { status: 503, body: '<html>no</html>' }, 'aws-503', true],
    [s3, { status: 502, body: '' }, 'aws-502', true],
    [
      ec2,
      queryError('InvalidInstanceID.NotFound', 'None.', 400),
      'aws-invalid-instance-id-not-found',
      false,
    ],
    [
      table,
      jsonError('ResourceNotFoundException', 'None.'),
      'aws-resource-not-found-exception',
      false,
    ],
    [table, jsonError('ThrottlingException', 'Slow.'), 'throttled', true],
    [table, jsonError('ProvisionedThroughputExceededException', 'Slow.'), 'throttled', true],
    [table, { body: '{"Table": tru' }, 'bad-response', true],
    [ec2, { body: '<a><b></a>' }, 'bad-response', true],
  ]
  for (const [input, given, code, retryable] of cases) {
    answer = given
    const { error } = await call(app, aws.url, input)
    t.match(error, { code, retryable }, JSON.stringify(error))
  }
  answer = s3Error('NoSuchKey', 'The key does not exist.', 404)
  t.match(await call(app, aws.url, s3), {
    error: {
      message: 's3 get_object in eu-central-1 failed with NoSuchKey (404): The key does not exist.',
    },
    output: {
      result: {
        Error: { Code: 'NoSuchKey', Message: 'The key does not exist.' },
        ResponseMetadata: { HTTPStatusCode: 404, RetryAttempts: 0 },
      },
    },
  })
  t.equal(aws.requests.length, cases.length + 1, 'each is one request: the SDK does not retry')
})

t.test('a canceled call, and one out of time, has let go of its socket at once', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => undefined)])
  const put = {
    client: 's3',
    service: 'put_object',
    parameters: { Bucket: 'b', Key: 'k', Body: 'x'.repeat(900_000) },
  }
  for (const [i, input] of [{ client: 'sts', service: 'get_caller_identity' }, put].entries()) {
    const id = await submit(app, 'aws', callOf(aws.url, input))
    await until(() => aws.requests.length === i + 1)
    t.equal(aws.sockets.size, 1)
    const at = performance.now()
    await app.errand.act(id, 'cancel')
    await until(() => aws.sockets.size === 0)
    const took = performance.now() - at
    t.ok(took < CLOSED_WITHIN_MS, `closed in ${took} ms`)
    t.equal((await settled(app, id)).status, 'canceled')
  }
  const task = await call(app, aws.url, {
    client: 'sts',
    service: 'get_caller_identity',
    timeout: 150,
  })
  t.match(task.error, { code: 'timeout', message: /took longer than 150 ms/, retryable: true })
  await until(() => aws.sockets.size === 0)
})

t.test('a body that stops half way is canceled as well', async (t) => {
  const open = new Set<object>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => {})
    socket.once('data', () =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning'),
    )
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const app = await startApp(t)
  const input = { client: 's3', service: 'get_object', parameters: { Bucket: 'b', Key: 'k' } }
  const url = `http://127.0.0.1:${port}`
  const task = await call(app, url, { ...input, timeout: 200 })
  t.match(task.error, { code: 'timeout' })
  await until(() => open.size === 0)
  const id = await submit(app, 'aws', callOf(url, input))
  await until(() => open.size === 1)
  await app.errand.act(id, 'cancel')
  await until(() => open.size === 0)
  t.equal((await settled(app, id)).status, 'canceled')
  for (const socket of open) t.fail(`${socket} is left`)
})

t.test('an answer that is too large is not taken in', async (t) => {
  const large = Buffer.alloc(16 * 1_024 * 1_024 + 1, 'x')
  const [app, aws] = await Promise.all([startApp(t), startAws(t, () => ({ body: large }))])
  const calls = [
    { client: 's3', service: 'get_object', parameters: { Bucket: 'b', Key: 'k' } },
    { client: 's3', service: 'list_buckets' },
    { client: 'dynamodb', service: 'list_tables' },
  ]
  for (const input of calls) {
    const { error } = await call(app, aws.url, input)
    t.match(error, { code: 'response-too-large', retryable: false }, JSON.stringify(error))
  }
  await until(() => aws.sockets.size === 0)
})

t.test('connections that fail say how', async (t) => {
  const app = await startApp(t, { egress: 'deny:10.0.0.0/8 deny:localhost' })
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const input = { client: 'sts', service: 'get_caller_identity' }
  const cases: [url: string, code: string][] = [
    ['http://127.0.0.1:1', 'connection-refused'],
    ['http://no-such-host.invalid', 'unknown-host'],
    [`http://127.0.0.1:${port}`, 'connection-lost'],
    ['http://169.254.169.254', 'egress-denied'],
    ['http://[fd00:ec2::254]', 'egress-denied'],
    ['https://10.1.2.3', 'egress-denied'],
    [`http://localhost:${port}`, 'egress-denied'],
  ]
  for (const [url, code] of cases) {
    const { error } = await call(app, url, input)
    t.match(error, { code }, `${url}: ${error?.message}`)
  }
})

t.test('an endpoint whose certificate nobody vouches for is not spoken to', async (t) => {
  const openssl = program(t, { names: ['openssl'], debian: 'openssl', untested: 'certificates' })
  if (openssl === undefined) return
  const folder = t.testdir({})
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost`
  const made = spawnSync(openssl, [...args.split(' '), '-keyout', key, '-out', cert])
  t.equal(made.status, 0, String(made.stderr))
  let asked = 0
  const server = createTlsServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (_, response) => {
      asked++
      response.end()
    },
  ).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const app = await startApp(t)
  const input = { client: 'sts', service: 'get_caller_identity' }
  const { error } = await call(app, `https://127.0.0.1:${port}`, input)
  t.match(error, { code: 'bad-certificate', retryable: false })
  t.equal(asked, 0)
})

t.test('without an endpoint it would go to AWS, under the name of the region', async (t) => {
  const app = await startApp(t, { egress: 'deny:*.amazonaws.com' })
  const { endpoint_url: _, ...input } = callOf('', { client: 'sqs', service: 'list_queues' }) as {
    endpoint_url: string
  }
  const { error } = await perform(app, 'aws', input)
  // A machine without a network does not find it.
  t.match(error, {
    code: /^(egress-denied|unknown-host)$/,
    message: /sqs\.eu-central-1\.amazonaws\.com|sqs list_queues/,
  })
})

t.test('nothing of the environment is taken but the region', async (t) => {
  const [app, aws, trap] = await Promise.all([
    startApp(t),
    startAws(t, smallAws()),
    startAws(t, () => ({ status: 500 })),
  ])
  const folder = t.testdir({})
  const pipe = join(folder, 'config')
  // Whoever opened it would wait for ever.
  t.equal(spawnSync('mkfifo', [pipe]).status, 0)
  const variables: { [name: string]: string } = {
    AWS_ACCESS_KEY_ID: 'AKIAWRONG',
    AWS_SECRET_ACCESS_KEY: 'wrong',
    AWS_SESSION_TOKEN: 'wrong',
    AWS_PROFILE: 'wrong',
    AWS_CONFIG_FILE: pipe,
    AWS_SHARED_CREDENTIALS_FILE: pipe,
    AWS_ENDPOINT_URL: trap.url,
    AWS_ENDPOINT_URL_S3: trap.url,
    AWS_DEFAULTS_MODE: 'auto',
    AWS_MAX_ATTEMPTS: '5',
    AWS_RETRY_MODE: 'adaptive',
    AWS_USE_FIPS_ENDPOINT: 'true',
    AWS_USE_DUALSTACK_ENDPOINT: 'true',
    AWS_SDK_UA_APP_ID: 'wrong',
    AWS_REGION: 'eu-north-1',
    HTTP_PROXY: trap.url,
    http_proxy: trap.url,
  }
  const before = { ...process.env }
  t.teardown(() => {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  })
  Object.assign(process.env, variables)
  const { region: _, ...login } = callOf(aws.url, {}) as { region: string }
  for (const input of [
    { client: 's3', service: 'list_buckets' },
    { client: 'sts', service: 'get_caller_identity' },
    { client: 'dynamodb', service: 'list_tables' },
    { client: 'logs', service: 'describe_log_groups' },
    { client: 'sqs', service: 'list_queues' },
  ]) {
    await perform(app, 'aws', { ...login, ...input, timeout: 5_000 }).then((task) =>
      t.notMatch(task.error?.code, /timeout|login/, JSON.stringify(task.error)),
    )
  }
  t.ok(aws.requests.length >= 5)
  t.ok(aws.requests.every(({ region }) => region === 'eu-north-1'))
  t.ok(aws.requests.every(({ headers }) => !`${headers['user-agent']}`.includes('wrong')))
  t.same(trap.requests, [])
  // Without an endpoint of its own: the trap is not asked, and no host of FIPS.
  const denied = await startApp(t, { egress: 'deny:*' })
  const { endpoint_url: __, ...atAws } = login as { endpoint_url?: string }
  const task = await perform(denied, 'aws', {
    ...atAws,
    client: 's3',
    service: 'list_buckets',
    timeout: 5_000,
  })
  t.match(task.error, { code: /^(egress-denied|unknown-host)$/ })
  t.notMatch(task.error?.message, /fips|127\.0\.0\.1/)
  t.equal(trap.sockets.size, 0)
  delete process.env.AWS_REGION
  const noRegion = await perform(app, 'aws', {
    ...login,
    client: 'sts',
    service: 'get_caller_identity',
  })
  t.match(noRegion.error, { code: 'no-region', retryable: false })
})

t.test('secrets are in no task, no error and no output', async (t) => {
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const task = await call(app, aws.url, { client: 's3', service: 'list_buckets' })
  t.ok(resultOf(task))
  t.notMatch(JSON.stringify(task.output), /wJalrXUtnFEMI/)
})
