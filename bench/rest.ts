import { median, report } from './report.ts'
import type { Calls, CallsResult } from './rest-load.ts'
import { runLoad, ServerProcess } from './server-process.ts'

const IN_FLIGHT = 200
const CALLS = 60_000
const RUNS = 5
const MOST_ADDED = 0.25

/** What the rest worker costs beside the library that it calls by, in CPU of the process that calls. */
export async function benchRest(): Promise<void> {
  const server = await ServerProcess.start('./service-server.ts')
  try {
    const url = `http://127.0.0.1:${server.port}/`
    const alone: number[] = []
    const asTask: number[] = []
    const ratios: number[] = []
    // By turns, since the machine may be slower now than a minute ago.
    for (let run = 0; run < RUNS; run++) {
      const own = await cpuPerCall({ by: 'undici', url, inFlight: IN_FLIGHT, calls: CALLS })
      const task = await cpuPerCall({ by: 'rest', url, inFlight: IN_FLIGHT, calls: CALLS })
      alone.push(own)
      asTask.push(task)
      ratios.push(task / own - 1)
    }
    report('a request by undici alone', `${median(alone).toFixed(1)} µs of CPU`)
    report('the same as a task of rest', `${median(asTask).toFixed(1)} µs of CPU`)
    const added = median(ratios)
    const most = `at most ${MOST_ADDED * 100}%`
    report('rest adds', `${(added * 100).toFixed(0)}%`, added <= MOST_ADDED, most)
  } finally {
    await server.stop()
  }
}

async function cpuPerCall(calls: Calls): Promise<number> {
  return (await runLoad<CallsResult>('./rest-load.ts', calls)).cpuPerCall
}
