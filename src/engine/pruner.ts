import type { Store } from '../task/store.ts'
import type { Logger } from './logger.ts'

/** Tasks forgotten in one step, so that no step keeps the event loop long. */
const STEP = 1_000
/** The longest time between two looks for tasks that are too old, in milliseconds. */
const LONGEST_PERIOD_MS = 60_000

export interface Retention {
  /** How long a finished task is kept, in milliseconds. */
  maxAgeMs: number
  /** How many finished tasks are kept. */
  maxFinished: number
}

/** Forgets finished tasks by age and by count: by age on a timer, by count as tasks finish. */
export class Pruner {
  readonly #store: Store
  readonly #retention: Retention
  readonly #log: Logger
  readonly #every: number
  #finished = 0
  #timer: NodeJS.Timeout | undefined
  #pruning: Promise<void> | undefined
  #isPruning = false
  #again = false
  #stopped = false

  constructor(store: Store, retention: Retention, log: Logger) {
    this.#store = store
    this.#retention = retention
    this.#log = log
    this.#every = Math.min(STEP, Math.max(1, Math.floor(retention.maxFinished / 100)))
  }

  start(): void {
    const period = Math.min(LONGEST_PERIOD_MS, Math.max(1_000, this.#retention.maxAgeMs / 10))
    this.#timer ??= setInterval(() => this.#prune(), period)
  }

  /** Says that one more task has finished. */
  finished(): void {
    if (++this.#finished < this.#every) return
    this.#finished = 0
    this.#prune()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#pruning
  }

  #prune(): void {
    if (this.#stopped) return
    if (this.#isPruning) this.#again = true
    else this.#pruning = this.#run()
  }

  async #run(): Promise<void> {
    this.#isPruning = true
    try {
      do {
        this.#again = false
        while ((await this.#step()) === STEP && !this.#stopped) {
          await new Promise((resolve) => setImmediate(resolve))
        }
        // More may have finished since the last step has looked.
      } while (this.#again)
    } catch (error) {
      this.#log.error({ err: error }, 'finished tasks could not be pruned')
    } finally {
      this.#isPruning = false
    }
  }

  #step(): Promise<number> {
    return this.#store.prune({
      finishedBefore: Date.now() - this.#retention.maxAgeMs,
      maxFinished: this.#retention.maxFinished,
      limit: STEP,
    })
  }
}
