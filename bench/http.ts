import type { LoadResult } from './load.ts'
import { median, report } from './report.ts'
import { runLoad, ServerProcess } from './server-process.ts'

/** Processes that are measured, one pair after the other: each has its own luck with its memory and its caches. */
const PROCESSES = 5
const ROUNDS = 2
const REQUESTS = 40_000
const CONNECTIONS = 64
const BATCH = 1_000
const BATCHES = 200

interface Cost {
  cpuMicros: number
  perSecond: number
}

interface Rounds {
  bare: Cost[]
  submit: Cost[]
  wait: Cost[]
  batch: Cost[]
}

/** The price of a request in CPU time, against bare node:http in the same minutes, and the rate of batches. */
export async function benchHttp(): Promise<void> {
  const rounds: Rounds = { bare: [], submit: [], wait: [], batch: [] }
  for (let i = 0; i < PROCESSES; i++) await measureProcesses(rounds)
  const cpu = (costs: Cost[]) => median(costs.map(({ cpuMicros }) => cpuMicros))
  const rate = (costs: Cost[]) => Math.round(median(costs.map(({ perSecond }) => perSecond)))
  const shown = (costs: Cost[]) => `${cpu(costs).toFixed(1)} µs of CPU, ${rate(costs)} a second`
  report('bare node:http, a request', shown(rounds.bare))
  // Round by round: the machine's speed drifts, and both of a round are measured within seconds.
  const ratio = (costs: Cost[]) =>
    median(costs.map(({ cpuMicros }, i) => cpuMicros / (rounds.bare[i]?.cpuMicros ?? Number.NaN)))
  for (const [name, costs, most] of [
    ['submit, until completed', rounds.submit, 1.4],
    ['submit with Prefer: wait=5', rounds.wait, 1.6],
  ] as const) {
    const text = `${ratio(costs).toFixed(2)} × bare (${shown(costs)})`
    report(name, text, ratio(costs) <= most, `at most ${most} ×`)
  }
  const perSecond = Math.round((BATCH * 1e6) / cpu(rounds.batch))
  const text = `${perSecond} a second of one core`
  report(`batches of ${BATCH}, tasks completed`, text, perSecond >= 250_000, 'at least 250,000')
}

async function measureProcesses(rounds: Rounds): Promise<void> {
  const bare = await ServerProcess.start('./bare-server.ts')
  const errand = await ServerProcess.start('./errand-server.ts')
  const submit = { url: `http://127.0.0.1:${errand.port}/workers/noop`, body: '{}' }
  const batch = {
    url: `${submit.url}/batch`,
    body: JSON.stringify(Array.from({ length: BATCH }, () => ({}))),
    amount: BATCHES,
    connections: 4,
  }
  try {
    // The first round warms the code up, and fills the table to its retention, and is not counted.
    for (let round = 0; round <= ROUNDS; round++) {
      const costs = {
        bare: await cost(bare, { url: `http://127.0.0.1:${bare.port}/`, body: '{}' }),
        submit: await cost(errand, submit),
        wait: await cost(errand, { ...submit, headers: { prefer: 'wait=5' } }),
        batch: await cost(errand, batch),
      }
      if (round === 0) continue
      rounds.bare.push(costs.bare)
      rounds.submit.push(costs.submit)
      rounds.wait.push(costs.wait)
      rounds.batch.push(costs.batch)
    }
  } finally {
    await bare.stop()
    await errand.stop()
  }
}

/** The CPU time that the server spent on one request, tasks completed included. */
async function cost(
  server: ServerProcess,
  load: {
    url: string
    body: string
    headers?: { [name: string]: string }
    amount?: number
    connections?: number
  },
): Promise<Cost> {
  const before = await server.probe()
  const result = await runLoad<LoadResult>('./load.ts', {
    connections: CONNECTIONS,
    amount: REQUESTS,
    ...load,
  })
  if (result.failures > 0) throw new Error(`${result.failures} requests to ${load.url} failed`)
  await settled(load.url)
  const after = await server.probe()
  return {
    cpuMicros: (after.cpuMicros - before.cpuMicros) / result.requests,
    perSecond: result.perSecond,
  }
}

/** Resolves when every task that was submitted has completed. */
async function settled(url: string): Promise<void> {
  if (!url.includes('/workers/')) return
  for (;;) {
    const response = await fetch(url.replace('/batch', ''))
    const { counts } = (await response.json()) as { counts: { queued: number; running: number } }
    if (counts.queued + counts.running === 0) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
