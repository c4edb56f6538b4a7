import { connect, createServer } from 'node:net'
import t from 'tap'
import { EgressPolicy } from '../../src/task/egress.ts'

const METADATA = [
  '169.254.169.254',
  '169.254.170.2',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '[::ffff:a9fe:a9fe]',
  'fd00:ec2::254',
  '[fd00:ec2::254]',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  'fe80::a9fe:a9fe%eth0',
  '100.100.100.200',
  '2852039166',
  '0xA9FEA9FE',
  '0251.0376.0251.0376',
  '169.254.43518',
]

const denied = { code: 'egress-denied', retryable: false }

t.test('cloud metadata is denied, however its address is written', async (t) => {
  for (const rules of ['', 'allow:*', 'allow:169.254.0.0/24', 'deny:private']) {
    const egress = EgressPolicy.parse(rules)
    for (const host of METADATA) await t.rejects(egress.resolve(host), denied, `${rules} ${host}`)
  }
})

t.test('cloud metadata is allowed by its address alone', async (t) => {
  const egress = EgressPolicy.parse('allow:169.254.169.254 deny:*')
  t.same(await egress.resolve('169.254.169.254'), [{ address: '169.254.169.254', family: 4 }])
  await t.rejects(egress.resolve('169.254.169.253'), denied)
  await t.rejects(egress.resolve('8.8.8.8'), denied)
})

t.test(
  'everything else is allowed unless a rule denies it; the first that fits decides',
  async (t) => {
    const cases: [rules: string, allowed: string[], refused: string[]][] = [
      ['', ['127.0.0.1', '::1', 'localhost', '10.0.0.1', '8.8.8.8'], []],
      [
        'deny:private',
        ['8.8.8.8', '127.0.0.1', '172.32.0.1'],
        ['10.1.1.1', '172.31.0.1', '192.168.0.1', 'fd12::1', '::ffff:10.0.0.1'],
      ],
      ['deny:loopback', ['10.0.0.1'], ['127.9.9.9', '::1', 'localhost', '0.0.0.0', '::']],
      ['allow:10.1.0.0/16, deny:10.0.0.0/8', ['10.1.2.3', '11.0.0.1'], ['10.2.0.1']],
      ['deny:10.0.0.0/8,allow:10.1.0.0/16', ['11.0.0.1'], ['10.1.2.3']],
      ['allow:localhost deny:*', ['localhost', 'LocalHost'], ['127.0.0.1', '8.8.8.8']],
      ['deny:*.localhost', ['localhost'], ['a.localhost']],
      ['allow:2001:db8::/32 deny:*', ['2001:db8::5'], ['2001:db9::5']],
      ['allow:[2001:db8::]/32 deny:*', ['2001:db8::5'], []],
    ]
    for (const [rules, allowed, refused] of cases) {
      const egress = EgressPolicy.parse(rules)
      for (const host of allowed) {
        const found = await egress.resolve(host).catch((error: Error) => error.message)
        t.ok(Array.isArray(found) && found.length > 0, `${rules}: ${host} ${JSON.stringify(found)}`)
      }
      for (const host of refused) {
        const found = egress.resolve(host)
        // A name that this machine does not resolve is not connected to either.
        await t.rejects(found, { code: /^(egress-denied|unknown-host)$/ }, `${rules}: ${host}`)
      }
    }
  },
)

t.test('a name that does not resolve says so', async (t) => {
  await t.rejects(EgressPolicy.parse('').resolve('no-such-host.invalid'), {
    code: 'unknown-host',
    message: /no-such-host\.invalid/,
  })
})

t.test('as the lookup of a connection it hands out what is allowed alone', async (t) => {
  const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const attempt = (rules: string) =>
    new Promise<string>((resolve) => {
      const { lookup } = EgressPolicy.parse(rules)
      const socket = connect({ host: 'localhost', port, lookup })
      socket.once('connect', () => resolve('connected'))
      socket.once('error', (error: Error & { code?: string }) => resolve(String(error.code)))
      t.teardown(() => socket.destroy())
    })
  t.equal(await attempt(''), 'connected')
  t.equal(await attempt('deny:::1'), 'connected')
  t.equal(await attempt('deny:localhost'), 'egress-denied')
})

t.test('a rule that is none is refused by name', async (t) => {
  for (const rule of [
    'permit:*',
    'allow',
    'allow:',
    'deny:10.0.0.0/33',
    'deny:10.0.0',
    'deny:1.2.3.4.5',
    'allow:a b',
    'deny:http://x',
    'deny:::1/129',
    'deny:*.',
    'deny:a*b',
  ]) {
    t.throws(() => EgressPolicy.parse(rule), { message: / is no rule/ }, rule)
  }
  t.equal(EgressPolicy.parse(' deny:a , allow:b\n').text, ' deny:a , allow:b\n')
})
