import type { Consumer, Performer } from '../task/store.ts'
import type { MemoryTask } from './memory-task.ts'
import { ReadyQueue } from './ready-queue.ts'

/** The queue of one worker, and who performs it. */
export class WorkerQueue implements Consumer {
  readonly ready = new ReadyQueue<MemoryTask>(
    (task) => task.status === 'queued' && task.runAt === undefined,
  )
  readonly performer: Performer
  readonly #onRoom: (queue: WorkerQueue) => void
  #concurrency: number
  #suspended = false
  running = 0

  constructor(performer: Performer, concurrency: number, onRoom: (queue: WorkerQueue) => void) {
    this.performer = performer
    this.#concurrency = concurrency
    this.#onRoom = onRoom
  }

  get concurrency(): number {
    return this.#concurrency
  }

  get hasRoom(): boolean {
    return !this.#suspended && this.running < this.#concurrency
  }

  /** Whether so many more tasks could all start at once. */
  canStart(tasks: number): boolean {
    return !this.#suspended && this.running + this.ready.size + tasks <= this.#concurrency
  }

  setConcurrency(concurrency: number): void {
    this.#concurrency = concurrency
    this.#onRoom(this)
  }

  setSuspended(suspended: boolean): void {
    this.#suspended = suspended
    this.#onRoom(this)
  }
}
