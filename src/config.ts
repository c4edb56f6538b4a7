import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { parseDuration } from './task/duration.ts'
import { EgressPolicy } from './task/egress.ts'
import { ErrandError } from './task/errors.ts'
import { nearest } from './task/nearest.ts'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const DAY_MS = 86_400_000
/** What the variables of settings begin with. */
const PREFIX = 'ERRAND_'

/** Everything that can be set, read once and frozen. */
export interface Config {
  readonly host: string
  readonly port: number
  /** The address at which others reach the server, where it is not the one it listens on. */
  readonly url: string | undefined
  /** Where tasks live: `memory:`. */
  readonly store: string
  /** Folders of workers, and files of one, absolute. */
  readonly workers: readonly string[]
  /** YAML files of workers that run programs, absolute. */
  readonly commands: readonly string[]
  readonly apiKey: string | undefined
  /** `none` says in so many words that nobody needs a key. */
  readonly auth: 'key' | 'none'
  /** The folder that workers keep file access within, absolute. */
  readonly filesRoot: string
  /** What callbacks are signed with: `whsec_…` each. */
  readonly callbackSecrets: readonly string[]
  /** The folder of files that are named after secrets, absolute. */
  readonly secretsDir: string | undefined
  /** Where tasks may connect to: see {@link EgressPolicy.parse}. */
  readonly egress: string
  /** How long a finished task is kept, in milliseconds. */
  readonly retentionMs: number
  readonly maxFinished: number
  readonly maxQueued: number
  /** The largest request body, in bytes. */
  readonly bodyLimit: number
  /** The largest output of a task, in characters of its JSON, roughly. */
  readonly maxOutput: number
  /** How long running tasks have to end when the server stops, in milliseconds. */
  readonly graceMs: number
  readonly logLevel: (typeof LOG_LEVELS)[number]
}

/** One setting: its flag, its environment variable, its default, and how it is read. */
export interface Setting<T> {
  readonly flag: string
  readonly variable: string
  /** What stands for the value in the usage text. */
  readonly value: string
  readonly description: string
  /** As it would be written. */
  readonly fallback: string | undefined
  /** @throws a string: what the value must be */
  parse(text: string): T
}

type Table = { readonly [key in keyof Config]: Setting<Config[key]> }

function setting<T>(
  flag: string,
  value: string,
  fallback: string | undefined,
  description: string,
  parse: (text: string) => T,
): Setting<T> {
  const variable = `${PREFIX}${flag.toUpperCase().replaceAll('-', '_')}`
  return { flag, variable, value, description, fallback, parse }
}

/** The one table of settings: what the documentation, the flags and the environment have in common. */
export const SETTINGS: Table = {
  host: setting('host', 'ADDRESS', '127.0.0.1', 'Address to listen on', (text) =>
    isIP(text) !== 0 || /^[a-z0-9.-]+$/i.test(text) ? text : fail('an address or a host name'),
  ),
  port: setting('port', 'PORT', '8888', 'Port to listen on; 0 takes a free one', whole(0, 65_535)),
  url: setting<string | undefined>(
    'url',
    'URL',
    undefined,
    'Address at which others reach the server, such as that of a proxy',
    (text) =>
      /^https?:$/.test(URL.parse(text)?.protocol ?? '') ? text : fail('a URL of http or https'),
  ),
  store: setting('store', 'URL', 'memory:', 'Where tasks live: memory:', (text) =>
    text === 'memory:' ? text : fail('memory:'),
  ),
  workers: setting(
    'workers',
    'PATHS',
    '',
    'Folders of your own workers, or single files, separated by commas',
    paths,
  ),
  commands: setting(
    'commands',
    'FILES',
    '',
    'YAML files of workers that run programs, separated by commas',
    paths,
  ),
  apiKey: setting<string | undefined>(
    'api-key',
    'KEY',
    undefined,
    'Key that every request must carry',
    (text) =>
      /^[\x21-\x7e]{8,512}$/.test(text)
        ? text
        : fail('8 to 512 printable ASCII characters without spaces'),
  ),
  auth: setting(
    'auth',
    'MODE',
    'key',
    'none: listen on any address without a key',
    oneOf('key', 'none'),
  ),
  filesRoot: setting(
    'files-root',
    'FOLDER',
    '.',
    'Folder that workers keep file access within',
    (text) => resolve(text),
  ),
  callbackSecrets: setting<readonly string[]>(
    'callback-secret',
    'SECRET',
    '',
    'What callbacks are signed with; several, separated by commas, while one is exchanged',
    webhookSecrets,
  ),
  secretsDir: setting<string | undefined>(
    'secrets-dir',
    'FOLDER',
    undefined,
    'Folder of files that are named after secrets',
    (text) => resolve(text),
  ),
  egress: setting(
    'egress',
    'RULES',
    '',
    'Where tasks may connect to: allow:TARGET and deny:TARGET',
    (text) => {
      try {
        return EgressPolicy.parse(text).text
      } catch (error) {
        return fail(
          `rules such as allow:10.1.0.0/16,deny:private,deny:*.example.com: ${error instanceof Error ? error.message : error}`,
        )
      }
    },
  ),
  retentionMs: setting(
    'retention',
    'DURATION',
    '24h',
    'How long finished tasks are kept',
    duration(36_500 * DAY_MS, '36500d'),
  ),
  maxFinished: setting(
    'max-finished',
    'N',
    '100000',
    'How many finished tasks are kept',
    whole(0, 100_000_000),
  ),
  maxQueued: setting(
    'max-queued',
    'N',
    '100000',
    'Tasks that may queue for one worker',
    whole(1, 100_000_000),
  ),
  bodyLimit: setting(
    'body-limit',
    'BYTES',
    '1048576',
    'Largest request body',
    whole(1_024, 1_073_741_824),
  ),
  maxOutput: setting(
    'max-output',
    'CHARACTERS',
    '16777216',
    'Largest output of a task',
    whole(1_024, 268_435_456),
  ),
  graceMs: setting(
    'grace',
    'DURATION',
    '20s',
    'How long running tasks have to end when the server stops',
    duration(24 * DAY_MS, '24d'),
  ),
  logLevel: setting(
    'log-level',
    'LEVEL',
    'info',
    `One of ${LOG_LEVELS.join(', ')}`,
    oneOf(...LOG_LEVELS),
  ),
}

/**
 * Variables that begin like a setting's and are none: the values of secrets, and what Kubernetes tells every
 * pod of a Service that is called errand.
 */
const NOT_SETTINGS =
  /^ERRAND_(?:SECRET_.+|SERVICE_(?:HOST|PORT)(?:_.+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/
/** How Kubernetes gives the address of such a Service in `ERRAND_PORT`. */
const SERVICE_LINK = /^(?:tcp|udp|sctp):\/\//

/**
 * Reads the settings: a flag before its environment variable before its default.
 *
 * @param flags by the name of the flag, without dashes
 * @throws {@link ErrandError} `invalid-config`, naming the setting, what it must be, and for an unknown
 * variable the nearest known one
 */
export function readConfig(
  flags: { readonly [flag: string]: string | undefined } = {},
  environment: { readonly [variable: string]: string | undefined } = {},
): Config {
  checkVariables(Object.keys(environment))
  const values = Object.entries<Setting<unknown>>(SETTINGS).map(
    ([key, { flag, variable, fallback, parse }]) => {
      const given = flags[flag] ?? settingOf(environment[variable])
      const text = given ?? fallback
      const name = flags[flag] === undefined ? variable : `--${flag}`
      return [key, text === undefined ? undefined : parsed(name, text, parse)]
    },
  )
  const config = Object.freeze(Object.fromEntries(values)) as Config
  checkExposure(config, SETTINGS.apiKey.variable, `${SETTINGS.auth.variable}=none`)
  return config
}

/** An address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

function checkVariables(names: readonly string[]): void {
  const known = Object.values(SETTINGS).map(({ variable }) => variable)
  for (const name of names) {
    if (!name.startsWith(PREFIX) || NOT_SETTINGS.test(name) || known.includes(name)) continue
    const near = nearest(
      name.slice(PREFIX.length),
      known.map((variable) => variable.slice(PREFIX.length)),
    )
    throw new ErrandError(
      'invalid-config',
      `The environment variable ${name} is no setting.${near === undefined ? '' : ` Did you mean ${PREFIX}${near}?`}`,
    )
  }
}

/**
 * Whoever can reach a server without a key can do everything it does.
 *
 * @param key how a key is set, and `open` how one says that none is needed, where the host was set
 * @throws {@link ErrandError} `invalid-config` where others can reach it and nothing says that they may
 */
export function checkExposure(
  { host, apiKey, auth }: Pick<Config, 'host' | 'apiKey' | 'auth'>,
  key: string,
  open: string,
): void {
  if (apiKey !== undefined || auth === 'none' || isLoopback(host)) return
  throw new ErrandError(
    'invalid-config',
    `To listen on ${host}, which others can reach, set ${key}; or say ${open} to serve everybody without a key.`,
  )
}

function parsed<T>(name: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (reason) {
    if (!(reason instanceof Misfit)) throw reason
    // The value is not shown: it may be a key.
    throw new ErrandError('invalid-config', `${name} must be ${reason.message}.`)
  }
}

/** Says what a value must be. */
class Misfit extends Error {}

function fail(expected: string): never {
  throw new Misfit(expected)
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    return value >= min && value <= max ? value : fail(`a whole number from ${min} to ${max}`)
  }
}

function oneOf<const T extends string>(...choices: T[]): (text: string) => T {
  return (text) => choices.find((choice) => choice === text) ?? fail(`one of ${choices.join(', ')}`)
}

function duration(maxMs: number, longest: string): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text)
    return ms !== undefined && ms <= maxMs
      ? ms
      : fail(`a duration of at most ${longest}, such as 500ms, 30s, 5m, 24h or 7d`)
  }
}

function paths(text: string): readonly string[] {
  const named = text.split(',').map((path) => path.trim())
  return Object.freeze(named.filter((path) => path !== '').map((path) => resolve(path)))
}

/** As Standard Webhooks has them: `whsec_` and 24 to 64 bytes in base64. */
function webhookSecrets(text: string): readonly string[] {
  const secrets = text.split(',').map((secret) => secret.trim())
  const given = secrets.filter((secret) => secret !== '')
  for (const secret of given) {
    const [, encoded = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
    const { length } = Buffer.from(encoded, 'base64')
    if (length < 24 || length > 64) fail('whsec_ and 24 to 64 bytes in base64')
  }
  return Object.freeze(given)
}

/** An empty variable is one that is not set; so is one that Kubernetes has set. */
function settingOf(text: string | undefined): string | undefined {
  return text === undefined || text === '' || SERVICE_LINK.test(text) ? undefined : text
}
