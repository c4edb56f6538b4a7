import type { LoadResult } from './load.ts'
import { median, report } from './report.ts'
import { runLoad, ServerProcess } from './server-process.ts'

const ROUNDS = 7
const REQUESTS = 60_000
const CONNECTIONS = 64
const BATCH = 1_000
const BATCHES = 400

interface Cost {
  cpuMicros: number
  perSecond: number
}

/** The price of a request in CPU time, against bare node:http in the same minutes, and the rate of batches. */
export async function benchHttp(): Promise<void> {
  const bare = await ServerProcess.start('./bare-server.ts')
  const errand = await ServerProcess.start('./errand-server.ts')
  try {
    const rounds = { bare: [] as Cost[], submit: [] as Cost[], wait: [] as Cost[] }
    const submit = `http://127.0.0.1:${errand.port}/workers/noop`
    // The first round warms the code up, and fills the table to its retention, and is not counted.
    for (let round = 0; round <= ROUNDS; round++) {
      const costs = {
        bare: await cost(bare, { url: `http://127.0.0.1:${bare.port}/`, body: '{}' }),
        submit: await cost(errand, { url: submit, body: '{}' }),
        wait: await cost(errand, { url: submit, body: '{}', headers: { prefer: 'wait=5' } }),
      }
      if (round === 0) continue
      rounds.bare.push(costs.bare)
      rounds.submit.push(costs.submit)
      rounds.wait.push(costs.wait)
    }
    const cpu = (costs: Cost[]) => median(costs.map(({ cpuMicros }) => cpuMicros))
    const rate = (costs: Cost[]) => Math.round(median(costs.map(({ perSecond }) => perSecond)))
    const shown = (costs: Cost[]) => `${cpu(costs).toFixed(1)} µs of CPU, ${rate(costs)} a second`
    report('bare node:http, a request', shown(rounds.bare))
    // Round by round: the machine's speed drifts, and both of a round are measured within seconds.
    const ratio = (costs: Cost[]) =>
      median(costs.map(({ cpuMicros }, i) => cpuMicros / (rounds.bare[i]?.cpuMicros ?? Number.NaN)))
    report(
      'submit, until completed',
      `${ratio(rounds.submit).toFixed(2)} × bare (${shown(rounds.submit)})`,
      ratio(rounds.submit) <= 1.4,
      'at most 1.4 ×',
    )
    report(
      'submit with Prefer: wait=5',
      `${ratio(rounds.wait).toFixed(2)} × bare (${shown(rounds.wait)})`,
      ratio(rounds.wait) <= 1.6,
      'at most 1.6 ×',
    )
    await benchBatches(errand)
  } finally {
    await bare.stop()
    await errand.stop()
  }
}

async function benchBatches(errand: ServerProcess): Promise<void> {
  const body = JSON.stringify(Array.from({ length: BATCH }, () => ({})))
  const url = `http://127.0.0.1:${errand.port}/workers/noop/batch`
  const rates: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const { cpuMicros } = await cost(errand, { url, body, amount: BATCHES, connections: 4 })
    if (round > 0) rates.push((BATCH * 1e6) / cpuMicros)
  }
  const rate = Math.round(median(rates))
  report(
    `batches of ${BATCH}, tasks completed`,
    `${rate} a second of one core`,
    rate >= 250_000,
    'at least 250,000',
  )
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
