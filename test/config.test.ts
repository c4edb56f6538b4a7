import { resolve } from 'node:path'
import t from 'tap'
import { type Config, LOG_LEVELS, readConfig, SETTINGS } from '../src/config.ts'

const KEY = 'a-key-of-some-length'

interface Case {
  /** What may be written, and what it is read as. */
  good: readonly (readonly [text: string, value: unknown])[]
  bad: readonly string[]
  fallback: unknown
}

const CASES: { readonly [key in keyof Config]: Case } = {
  host: {
    good: [
      ['127.0.0.2', '127.0.0.2'],
      ['::1', '::1'],
      ['localhost', 'localhost'],
    ],
    bad: ['http://localhost', 'local host', 'localhost:80', '[::1]', 'a/b'],
    fallback: '127.0.0.1',
  },
  port: {
    good: [
      ['0', 0],
      ['1', 1],
      ['65535', 65_535],
    ],
    bad: ['-1', '65536', '80.5', '1e3', '0x50', 'http', ' 80', '80 '],
    fallback: 8_888,
  },
  url: {
    good: [['https://errand.example.com/base', 'https://errand.example.com/base']],
    bad: ['errand.example.com', 'ftp://x', 'http://'],
    fallback: undefined,
  },
  store: {
    good: [['memory:', 'memory:']],
    bad: ['memory', 'mysql://localhost'],
    fallback: 'memory:',
  },
  workers: {
    good: [
      ['one', [resolve('one')]],
      ['one, /two/../three ,,', [resolve('one'), '/three']],
      [',', []],
    ],
    bad: [],
    fallback: [],
  },
  commands: {
    good: [
      ['one.yaml', [resolve('one.yaml')]],
      ['one.yaml, /two/../three.yaml ,,', [resolve('one.yaml'), '/three.yaml']],
      [',', []],
    ],
    bad: [],
    fallback: [],
  },
  apiKey: {
    good: [
      ['12345678', '12345678'],
      ['~'.repeat(512), '~'.repeat(512)],
    ],
    bad: ['1234567', '~'.repeat(513), 'with a space', 'schlüssel-lang', 'tab\tin-it'],
    fallback: undefined,
  },
  auth: {
    good: [
      ['key', 'key'],
      ['none', 'none'],
    ],
    bad: ['None', 'no', 'keys'],
    fallback: 'key',
  },
  filesRoot: {
    good: [
      ['/srv/files', '/srv/files'],
      ['below', resolve('below')],
    ],
    bad: [],
    fallback: process.cwd(),
  },
  callbackSecrets: {
    good: [
      [`whsec_${'A'.repeat(32)}`, [`whsec_${'A'.repeat(32)}`]],
      [
        `whsec_${'A'.repeat(32)}, whsec_${'B'.repeat(32)}`,
        [`whsec_${'A'.repeat(32)}`, `whsec_${'B'.repeat(32)}`],
      ],
    ],
    bad: ['secret', 'whsec_', 'whsec_AAAA', `whsec_${'A'.repeat(200)}`],
    fallback: [],
  },
  secretsDir: {
    good: [
      ['/run/secrets', '/run/secrets'],
      ['below', resolve('below')],
    ],
    bad: [],
    fallback: undefined,
  },
  egress: {
    good: [
      ['deny:private', 'deny:private'],
      ['allow:10.1.0.0/16,deny:*', 'allow:10.1.0.0/16,deny:*'],
    ],
    bad: ['private', 'deny:10.0.0.0/33', 'allow:'],
    fallback: '',
  },
  retentionMs: {
    good: [
      ['0', 0],
      ['1500', 1_500],
      ['500ms', 500],
      ['90s', 90_000],
      ['1.5h', 5_400_000],
      ['7d', 604_800_000],
    ],
    bad: ['-1s', '1 h', '1w', 'h', 'forever', '1e3'],
    fallback: 86_400_000,
  },
  maxFinished: {
    good: [
      ['0', 0],
      ['100000000', 100_000_000],
    ],
    bad: ['-1', '100000001', 'many'],
    fallback: 100_000,
  },
  maxQueued: {
    good: [
      ['1', 1],
      ['100000000', 100_000_000],
    ],
    bad: ['0', '100000001', '1.5'],
    fallback: 100_000,
  },
  bodyLimit: {
    good: [
      ['1024', 1_024],
      ['1073741824', 1_073_741_824],
    ],
    bad: ['1023', '1073741825', '1mb'],
    fallback: 1_048_576,
  },
  maxOutput: {
    good: [
      ['1024', 1_024],
      ['268435456', 268_435_456],
    ],
    bad: ['1023', '268435457', '16m'],
    fallback: 16_777_216,
  },
  graceMs: {
    good: [
      ['0', 0],
      ['2m', 120_000],
    ],
    // Longer than any timer can wait: it would not be kept.
    bad: ['-1s', 'soon', '25d'],
    fallback: 20_000,
  },
  logLevel: {
    good: LOG_LEVELS.map((level) => [level, level] as const),
    bad: ['INFO', 'verbose', 'warning'],
    fallback: 'info',
  },
}

t.test('each setting: what it takes and what it refuses, by flag and by variable', async (t) => {
  for (const [key, { good, bad, fallback }] of Object.entries<Case>(CASES)) {
    const { flag, variable } = SETTINGS[key as keyof Config]
    const read = (config: Config) => config[key as keyof Config]
    t.same(read(readConfig()), fallback, `${variable} is ${fallback} unless set`)
    t.same(read(readConfig({}, { [variable]: '' })), fallback, `an empty ${variable} is not set`)
    for (const [text, value] of good) {
      t.same(read(readConfig({ [flag]: text })), value, `--${flag} ${text.slice(0, 20)}`)
      t.same(read(readConfig({}, { [variable]: text })), value, `${variable}=${text.slice(0, 20)}`)
    }
    for (const text of bad) {
      const refused = { code: 'invalid-config' }
      t.throws(
        () => readConfig({ [flag]: text }),
        { ...refused, message: new RegExp(`^--${flag} must be `) },
        `--${flag} ${text.slice(0, 20)}`,
      )
      t.throws(
        () => readConfig({}, { [variable]: text }),
        { ...refused, message: new RegExp(`^${variable} must be `) },
        `${variable}=${text.slice(0, 20)}`,
      )
    }
  }
})

t.test('the variables are the flags in capitals', async (t) => {
  t.same(
    Object.values(SETTINGS).map(({ variable }) => variable),
    [
      'ERRAND_HOST',
      'ERRAND_PORT',
      'ERRAND_URL',
      'ERRAND_STORE',
      'ERRAND_WORKERS',
      'ERRAND_COMMANDS',
      'ERRAND_API_KEY',
      'ERRAND_AUTH',
      'ERRAND_FILES_ROOT',
      'ERRAND_CALLBACK_SECRET',
      'ERRAND_SECRETS_DIR',
      'ERRAND_EGRESS',
      'ERRAND_RETENTION',
      'ERRAND_MAX_FINISHED',
      'ERRAND_MAX_QUEUED',
      'ERRAND_BODY_LIMIT',
      'ERRAND_MAX_OUTPUT',
      'ERRAND_GRACE',
      'ERRAND_LOG_LEVEL',
    ],
  )
})

t.test('a flag goes before its variable, which goes before the default', async (t) => {
  const environment = { ERRAND_PORT: '2000', ERRAND_LOG_LEVEL: 'warn' }
  t.match(readConfig({ port: '1000' }, environment), { port: 1_000, logLevel: 'warn' })
  t.match(readConfig({}, environment), { port: 2_000 })
  t.match(readConfig({ port: '1000' }, { ERRAND_PORT: 'wrong' }), { port: 1_000 })
  t.throws(() => readConfig({ port: '' }, environment), { code: 'invalid-config' })
})

t.test('an unknown variable stops the start, and the nearest known one is named', async (t) => {
  for (const [variable, near] of [
    ['ERRAND_PROT', 'ERRAND_PORT'],
    ['ERRAND_APIKEY', 'ERRAND_API_KEY'],
    ['ERRAND_LOGLEVEL', 'ERRAND_LOG_LEVEL'],
    ['ERRAND_WORKER', 'ERRAND_WORKERS'],
    ['ERRAND_MAX', 'ERRAND_MAX_FINISHED'],
  ] as const) {
    t.throws(
      () => readConfig({}, { [variable]: 'x' }),
      {
        code: 'invalid-config',
        message: `The environment variable ${variable} is no setting. Did you mean ${near}?`,
      },
      variable,
    )
  }
  t.throws(
    () => readConfig({}, { ERRAND_COMPLETELY_UNLIKE_ANYTHING: 'x' }),
    { message: /is no setting\.$/ },
    'one that is like none is named alone',
  )
  t.throws(() => readConfig({}, { ERRAND_PROT: '' }), { code: 'invalid-config' }, 'even if empty')
})

t.test('secrets and what belongs to others are no settings', async (t) => {
  const environment = { ERRAND_SECRET_MAIL: 'x', ERRANDS: 'x', PORT: 'x', MY_ERRAND_PORT: 'x' }
  t.equal(readConfig({}, environment).port, 8_888)
})

t.test('where others can reach it, it takes a key or the word that none is needed', async (t) => {
  for (const host of [
    '0.0.0.0',
    '::',
    '192.168.1.6',
    'example.com',
    '128.0.0.1',
    '127.0.0.1.nip',
  ]) {
    t.throws(
      () => readConfig({ host }),
      { code: 'invalid-config', message: /ERRAND_API_KEY.*ERRAND_AUTH=none/ },
      host,
    )
    t.equal(readConfig({ host, 'api-key': KEY }).host, host)
    t.equal(readConfig({ host }, { ERRAND_AUTH: 'none' }).host, host)
  }
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    t.equal(readConfig({ host }).host, host)
  }
})

t.test('a refusal does not show the value: it may be a key', async (t) => {
  try {
    readConfig({}, { ERRAND_API_KEY: 'sesame' })
    t.fail('too short a key was taken')
  } catch (error) {
    t.notMatch(String(error), 'sesame')
  }
})

t.test('what was read is frozen', async (t) => {
  const config = readConfig()
  t.ok(Object.isFrozen(config))
  t.throws(() => Object.assign(config, { port: 1 }), TypeError)
})
