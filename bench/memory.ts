import { createApp } from '../src/app.ts'
import { defineWorker, Type } from '../src/index.ts'
import { report } from './report.ts'

const TASKS = 300_000
const BATCH = 1_000

/** What a finished task holds beyond its input and output: both are null here, and hold nothing. */
export async function benchMemory(): Promise<void> {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run node with --expose-gc')
  const nothing = defineWorker({
    name: 'nothing',
    details: { description: 'Does nothing', input: Type.Null(), output: Type.Null() },
    perform: () => null,
  })
  const app = await createApp({ workers: [nothing], maxFinished: TASKS * 2, logLevel: 'silent' })
  await app.ready()
  const run = async (tasks: number) => {
    for (let i = 0; i < tasks; i += BATCH) {
      const inserted = await app.errand.submitAll('nothing', new Array(BATCH).fill(null))
      await app.errand.wait(inserted.at(-1)?.task.id ?? '', 10_000)
    }
  }
  const held = async () => {
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      gc()
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  // What is allocated once, however many tasks there are: compiled code, rings of events.
  await run(20_000)
  const before = await held()
  await run(TASKS)
  const bytes = ((await held()) - before) / TASKS
  report('a finished task', `${bytes.toFixed(0)} bytes`, bytes <= 450, 'at most 450')
  await app.close()
}
