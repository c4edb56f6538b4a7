import { ErrandError } from '../task/errors.ts'
import type { Json } from '../task/json.ts'
import type { Store } from '../task/store.ts'
import type { Task } from '../task/task.ts'
import { toFailure } from './failure.ts'
import type { Logger } from './logger.ts'
import type { Registry } from './registry.ts'
import { newTask } from './submission.ts'

/** How the tasks that deliver others are made. */
export interface CallbackOptions {
  /** The worker that delivers. */
  worker: string
  /** Its input for a task that has settled. */
  toInput(task: Task, url: string): Json
}

/** Has each task that names a callback delivered once it has settled, by a task of its own. */
export class Callbacks {
  readonly #options: CallbackOptions | undefined
  readonly #registry: Registry
  readonly #store: Store
  readonly #log: Logger
  readonly #maxQueued: number

  constructor(
    options: CallbackOptions | undefined,
    {
      registry,
      store,
      log,
      maxQueued,
    }: { registry: Registry; store: Store; log: Logger; maxQueued: number },
  ) {
    this.#options = options
    this.#registry = registry
    this.#store = store
    this.#log = log
    this.#maxQueued = maxQueued
  }

  /** @throws {@link ErrandError} `callbacks-disabled` where nothing delivers them */
  check(url: string | undefined): void {
    if (url === undefined || this.#options !== undefined) return
    throw new ErrandError(
      'callbacks-disabled',
      'This server delivers no callbacks, since it has nothing to sign them with: set ERRAND_CALLBACK_SECRET.',
    )
  }

  /** To be called with each task that has settled; at the end of a stop too: what a store keeps is not lost. */
  async settled(task: Task): Promise<void> {
    const url = task.options?.callback
    if (url === undefined || this.#options === undefined) return
    const { worker, toInput } = this.#options
    try {
      const delivery = newTask(this.#registry, worker, toInput(task, url), {
        parent: task.id,
        // Whatever is told of twice is delivered once.
        idempotencyKey: `callback:${task.id}`,
      })
      await this.#store.insert([delivery], { maxQueued: this.#maxQueued, onLimit: 'queue' })
    } catch (thrown) {
      const { message } = toFailure(thrown)
      this.#log.error(
        { task: task.id, error: message },
        'a callback could not be queued and is lost',
      )
    }
  }
}
