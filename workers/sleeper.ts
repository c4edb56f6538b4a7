import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { defineWorker } from '../src/task/worker.ts'

/** How often it looks whether it is paused, and says how far it has come, in milliseconds. */
const STEP_MS = 100

export default defineWorker({
  name: 'sleeper',
  details: {
    description: 'Sleeps for a minute. This is to showcase long running tasks.',
    input: Type.Object({
      durationMs: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 86_400_000,
          default: 60_000,
          description: 'How long to sleep',
        }),
      ),
    }),
    output: Type.Object({
      sleptMs: Type.Integer({ description: 'How long it slept, pauses not counted' }),
    }),
    example: { durationMs: 1_000 },
  },
  maxNumTasks: 100,
  async perform({ durationMs = 60_000 }, task) {
    let sleptMs = 0
    while (sleptMs < durationMs) {
      await task.checkpoint()
      const began = performance.now()
      await sleep(Math.min(STEP_MS, durationMs - sleptMs), undefined, { signal: task.signal })
      sleptMs += performance.now() - began
      task.progress(Math.min(Math.round(sleptMs), durationMs), durationMs)
    }
    return { sleptMs: Math.round(sleptMs) }
  },
})
