import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { createApp } from '../src/app.ts'
import { median, report } from './report.ts'

const ROUNDS = 9
const RUNS = 500
const CONCURRENCY = 10
const PROGRAM = '/bin/true'

/** How many programs a second, against a loop that does nothing but spawn them in the same seconds. */
export async function benchCommand(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'errand-bench-'))
  try {
    const file = join(folder, 'commands.yaml')
    writeFileSync(
      file,
      `workers: { run: { description: Runs, command: [${PROGRAM}], maxNumTasks: ${CONCURRENCY} } }`,
    )
    const app = await createApp({ commands: [file], logLevel: 'silent' })
    await app.ready()
    const bare: number[] = []
    const errand: number[] = []
    // The first round warms the code up.
    for (let round = 0; round <= ROUNDS; round++) {
      const rates = await inTurn(round, spawnAll, () => performAll(app))
      if (round === 0) continue
      bare.push(rates[0])
      errand.push(rates[1])
    }
    await app.close()
    const ratio = median(errand.map((rate, i) => rate / (bare[i] ?? Number.NaN)))
    const rate = (rates: number[]) => `${Math.round(median(rates))} a second`
    report(`a loop that spawns ${PROGRAM}`, rate(bare))
    report(
      `tasks that run ${PROGRAM}`,
      `${ratio.toFixed(2)} × the loop (${rate(errand)})`,
      ratio >= 0.8,
      'at least 0.8 ×',
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The rates of both, measured one after the other; who begins changes from round to round. */
async function inTurn(
  round: number,
  bare: () => Promise<void>,
  errand: () => Promise<void>,
): Promise<[bare: number, errand: number]> {
  if (round % 2 === 0) return [await rateOf(bare), await rateOf(errand)]
  const second = await rateOf(errand)
  return [await rateOf(bare), second]
}

async function rateOf(run: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await run()
  return (RUNS * 1_000) / (performance.now() - began)
}

async function spawnAll(): Promise<void> {
  let left = RUNS
  const { PATH = '', HOME = '' } = process.env
  const one = async () => {
    while (left-- > 0) {
      const child = spawn(PROGRAM, [], {
        env: { PATH, HOME },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child.stdout.resume()
      child.stderr.resume()
      await once(child, 'close')
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, one))
}

async function performAll(app: FastifyInstance): Promise<void> {
  const inserted = await app.errand.submitAll('run', new Array(RUNS).fill({}))
  for (const { task } of inserted) {
    const { status } = await app.errand.wait(task.id, 60_000)
    if (status !== 'completed') throw new Error(`${task.id} is ${status}`)
  }
}
