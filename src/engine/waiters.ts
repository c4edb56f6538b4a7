import type { Task } from '../task/task.ts'

/** What ends a wait early: an AbortSignal, or what is cheaper to make and does as much. */
export interface GiveUpSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** One who waits for a task, until {@link Waiters.remove}. */
export interface Waiter {
  readonly id: string
  /** Resolves with the task once it has settled, or with undefined once the wait is over. */
  readonly settled: Promise<Task | undefined>
  readonly resolve: (task: Task | undefined) => void
  readonly giveUp: () => void
  readonly signal: GiveUpSignal | undefined
  readonly timer: NodeJS.Timeout
}

/** Those who wait for tasks to settle. Most tasks have none, and of the others nearly all have one. */
export class Waiters {
  readonly #byTask = new Map<string, Waiter | Set<Waiter>>()

  /** @param timeoutMs after which the wait is over */
  add(id: string, timeoutMs: number, signal?: GiveUpSignal): Waiter {
    const { promise, resolve } = Promise.withResolvers<Task | undefined>()
    const giveUp = () => resolve(undefined)
    const timer = setTimeout(giveUp, timeoutMs)
    const waiter: Waiter = { id, settled: promise, resolve, giveUp, signal, timer }
    if (signal?.aborted === true) giveUp()
    else signal?.addEventListener('abort', giveUp)
    const waiting = this.#byTask.get(id)
    if (waiting === undefined) this.#byTask.set(id, waiter)
    else if (waiting instanceof Set) waiting.add(waiter)
    else this.#byTask.set(id, new Set([waiting, waiter]))
    return waiter
  }

  /** Lets go of the timer and the signal, whether the wait is over or not. */
  remove(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    waiter.signal?.removeEventListener('abort', waiter.giveUp)
    const waiting = this.#byTask.get(waiter.id)
    if (waiting === waiter) this.#byTask.delete(waiter.id)
    if (!(waiting instanceof Set)) return
    waiting.delete(waiter)
    if (waiting.size === 0) this.#byTask.delete(waiter.id)
  }

  settled(task: Task): void {
    if (this.#byTask.size === 0) return
    const waiting = this.#byTask.get(task.id)
    if (waiting === undefined) return
    this.#byTask.delete(task.id)
    if (!(waiting instanceof Set)) return waiting.resolve(task)
    for (const waiter of waiting) waiter.resolve(task)
  }

  /** How many tasks somebody waits for. */
  get size(): number {
    return this.#byTask.size
  }

  /** The ids that somebody waits for. */
  ids(): string[] {
    return [...this.#byTask.keys()]
  }
}
