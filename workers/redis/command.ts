import { TaskError } from '../../src/task/worker.ts'
import type { Input } from './schema.ts'
import { toArgument } from './value.ts'

/** What is to be performed, as it goes over the wire. */
export interface Command {
  /** In capitals. */
  name: string
  args: readonly (string | Buffer)[]
  /** It only reads: done twice, it is as if done once. */
  isReadOnly: boolean
}

const ENDLESS = 'it never comes to an end'
const OTHER_MODE = 'it changes what the connection speaks'
const LASTS_NO_LONGER = 'what it sets ends with the connection, and every task has one of its own'

/** Why a command is not performed. Those of subcommands stand under `NAME SUBCOMMAND`. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ...['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE', 'MONITOR', 'SYNC', 'PSYNC'].map(
    (name) => [name, ENDLESS] as const,
  ),
  ...['CLIENT REPLY', 'CLIENT TRACKING', 'REPLCONF', 'RESET', 'SCRIPT DEBUG'].map(
    (name) => [name, OTHER_MODE] as const,
  ),
  ...[
    ...['MULTI', 'EXEC', 'DISCARD', 'WATCH', 'UNWATCH', 'QUIT', 'ASKING', 'READONLY', 'READWRITE'],
    ...['UNSUBSCRIBE', 'PUNSUBSCRIBE', 'SUNSUBSCRIBE', 'CLIENT CACHING'],
  ].map((name) => [name, LASTS_NO_LONGER] as const),
  ['AUTH', 'say `username` and `password` instead, which are kept secret'],
  ['HELLO', 'say `username` and `password` instead; replies are always those of RESP2'],
  ['SELECT', 'say `db` instead'],
])

/** Commands that change nothing, and that those who lost their answer ask again. */
const READ_ONLY: ReadonlySet<string> = new Set(
  [
    'GET GETRANGE SUBSTR STRLEN MGET GETBIT BITCOUNT BITPOS BITFIELD_RO LCS EXISTS TYPE TTL PTTL',
    'EXPIRETIME PEXPIRETIME KEYS SCAN RANDOMKEY DUMP SORT_RO DBSIZE TIME PING ECHO INFO LOLWUT',
    'HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN HSCAN HRANDFIELD HTTL HPTTL',
    'LRANGE LINDEX LLEN LPOS SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SSCAN SINTER SUNION',
    'SDIFF SINTERCARD ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX',
    'ZSCORE ZMSCORE ZCARD ZCOUNT ZLEXCOUNT ZRANK ZREVRANK ZRANDMEMBER ZSCAN ZINTER ZUNION ZDIFF',
    'ZINTERCARD XRANGE XREVRANGE XREAD XLEN XPENDING XINFO GEOPOS GEODIST GEOHASH GEOSEARCH',
    'GEORADIUS_RO GEORADIUSBYMEMBER_RO EVAL_RO EVALSHA_RO FCALL_RO COMMAND JSON.GET JSON.MGET',
  ].flatMap((line) => line.split(' ')),
)

/** @throws TaskError `command-refused`, `invalid-argument` */
export function toCommand({ command, args = [] }: Pick<Input, 'command' | 'args'>): Command {
  const name = command.toUpperCase()
  const values = args.map(toArgument)
  const subcommand = `${name} ${String(values[0] ?? '').toUpperCase()}`
  for (const refused of [name, subcommand]) {
    const reason = REFUSED.get(refused)
    if (reason !== undefined) throw refusal(refused, reason)
  }
  return { name, args: values, isReadOnly: READ_ONLY.has(name) }
}

function refusal(name: string, reason: string): TaskError {
  return new TaskError('command-refused', `${name} is not performed: ${reason}.`, {
    retryable: false,
  })
}
