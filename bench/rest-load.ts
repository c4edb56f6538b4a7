import { Agent, request } from 'undici'
import { createApp } from '../src/app.ts'

/** Calls to make: by whom, where to, how many at once and in all. */
export interface Calls {
  by: 'rest' | 'undici'
  url: string
  inFlight: number
  calls: number
}

export interface CallsResult {
  /** Microseconds of CPU that this process took for one call. */
  cpuPerCall: number
  perSecond: number
}

const WARM_UP = 20_000
/** What the worker sends, and how its agent is set up. */
const HEADERS = {
  'user-agent': 'errand',
  accept: '*/*',
  'accept-encoding': 'gzip, deflate, br, zstd',
}
const AGENT = { headersTimeout: 0, bodyTimeout: 0, allowH2: false }

const { by, url, inFlight, calls }: Calls = JSON.parse(process.argv[2] ?? '{}')
const { callOnce, end } = by === 'rest' ? await useRest() : useUndici()
await callAll(WARM_UP)
const before = process.cpuUsage()
const began = performance.now()
await callAll(calls)
const { user, system } = process.cpuUsage(before)
const result: CallsResult = {
  cpuPerCall: (user + system) / calls,
  perSecond: calls / ((performance.now() - began) / 1_000),
}
await end()
if (process.send === undefined) process.stdout.write(`${JSON.stringify(result)}\n`)
process.send?.(result, () => process.disconnect?.())

async function callAll(amount: number): Promise<void> {
  let left = amount
  const callOn = async () => {
    while (left-- > 0) await callOnce()
  }
  await Promise.all(Array.from({ length: inFlight }, callOn))
}

function useUndici() {
  const dispatcher = new Agent(AGENT)
  const callOnce = async () => {
    const { statusCode, body } = await request(url, { dispatcher, headers: HEADERS })
    const text = await body.text()
    if (statusCode !== 200 || text.length < 1_000) throw new Error(`${statusCode}: ${text}`)
  }
  return { callOnce, end: () => dispatcher.close() }
}

async function useRest() {
  const app = await createApp({ logLevel: 'silent' })
  await app.ready()
  const callOnce = async () => {
    const { task } = await app.errand.submit('rest', { url })
    const { status, error } = await app.errand.wait(task.id, 60_000)
    if (status !== 'completed') throw new Error(`${status}: ${error?.message}`)
  }
  return { callOnce, end: () => app.close() }
}
