import autocannon from 'autocannon'

/** One load: what to request, by how many connections, for how long or how often. */
export interface Load {
  url: string
  body: string
  headers?: { [name: string]: string }
  connections: number
  seconds?: number
  amount?: number
}

export interface LoadResult {
  requests: number
  /** Answers other than 2xx, and errors. */
  failures: number
  perSecond: number
  latencyP99Ms: number
}

const load: Load = JSON.parse(process.argv[2] ?? '{}')
const result = await autocannon({
  url: load.url,
  method: 'POST',
  headers: { 'content-type': 'application/json', ...load.headers },
  body: load.body,
  connections: load.connections,
  ...(load.amount === undefined ? { duration: load.seconds ?? 3 } : { amount: load.amount }),
})
const answer: LoadResult = {
  requests: result['2xx'],
  failures: result.non2xx + result.errors + result.timeouts,
  perSecond: result['2xx'] / result.duration,
  latencyP99Ms: result.latency.p99,
}
process.send?.(answer, () => process.disconnect?.())
