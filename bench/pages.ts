import { createApp } from '../src/app.ts'
import type { AnyWorker } from '../src/index.ts'
import { median, report } from './report.ts'

const TASKS = 1_000_000
const BATCH = 1_000
const RUNS = 41
const WORKERS = ['copy', 'sleep', 'mail', 'fetch']

/** A page of 50 out of a million tasks, asked for over HTTP, for filters that fit many, few and none. */
export async function benchPages(): Promise<void> {
  const workers = WORKERS.map(
    (name): AnyWorker => ({
      name,
      details: { description: name, input: {}, output: {} },
      perform: (input: number) => {
        if (input % 1_000 === 0) throw new Error('one in a thousand')
        return null
      },
    }),
  )
  const app = await createApp({ workers, maxFinished: TASKS * 2, logLevel: 'silent' })
  await app.ready()
  const times: string[] = []
  let firstId = ''
  for (let i = 0; i < TASKS; i += BATCH) {
    const batch = i / BATCH
    const inputs = Array.from({ length: BATCH }, (_, j) => i + j)
    const tags = [
      batch % 2 === 0 ? 'even' : 'odd',
      ...(batch === 3 ? ['rare'] : []),
      `team-${batch % 20}`,
    ]
    const parent = batch === 0 ? {} : { parent: batch % 100 === 0 ? firstId : 'somebody' }
    const worker = WORKERS[batch % WORKERS.length] ?? ''
    const inserted = await app.errand.submitAll(worker, inputs, { tags, ...parent })
    firstId ||= inserted[0]?.task.id ?? ''
    if (batch % 250 === 0) times.push(new Date(inserted[0]?.task.createdAt ?? 0).toISOString())
    await app.errand.wait(inserted.at(-1)?.task.id ?? '', 10_000)
  }
  const filters = [
    '',
    'status=completed',
    'status=failed',
    'status=running,queued',
    'worker=mail',
    'worker=mail&status=failed',
    'worker=mail&status=canceled',
    'tag=even',
    'tag=rare',
    'tag=nowhere',
    'tag=rare&status=failed',
    'tag=team-7&worker=sleep&status=canceled',
    `parent=${firstId}`,
    'parent=nobody',
    `parent=${firstId}&tag=odd&status=completed`,
    `since=${times[3]}`,
    `until=${times[1]}&tag=rare`,
    `since=${times[1]}&until=${times[2]}&status=failed`,
  ]
  let worst = { filter: '', ms: 0 }
  for (const filter of filters) {
    const samples: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const began = performance.now()
      const { statusCode } = await app.inject(`/tasks?limit=50${filter === '' ? '' : `&${filter}`}`)
      samples.push(performance.now() - began)
      if (statusCode !== 200) throw new Error(`${filter}: ${statusCode}`)
    }
    const ms = median(samples)
    if (ms > worst.ms) worst = { filter, ms }
  }
  report(
    `a page of 50 of ${TASKS.toLocaleString('en')}, ${filters.length} filters`,
    `${worst.ms.toFixed(2)} ms at the median of the slowest (${worst.filter || 'no filter'})`,
    worst.ms <= 5,
    'at most 5 ms',
  )
  await app.close()
}
