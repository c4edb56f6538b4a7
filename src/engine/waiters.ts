import type { Task } from '../task/task.ts'

/** Those who wait for tasks to settle. */
export class Waiters {
  readonly #byTask = new Map<string, Set<(task: Task) => void>>()

  /** How many wait. */
  get size(): number {
    let size = 0
    for (const waiting of this.#byTask.values()) size += waiting.size
    return size
  }

  /** Calls back when the task settles, unless the returned function was called before. */
  add(id: string, onSettled: (task: Task) => void): () => void {
    let waiting = this.#byTask.get(id)
    if (waiting === undefined) {
      waiting = new Set()
      this.#byTask.set(id, waiting)
    }
    waiting.add(onSettled)
    return () => {
      waiting.delete(onSettled)
      if (waiting.size === 0) this.#byTask.delete(id)
    }
  }

  settled(task: Task): void {
    if (this.#byTask.size === 0) return
    const waiting = this.#byTask.get(task.id)
    if (waiting === undefined) return
    this.#byTask.delete(task.id)
    for (const onSettled of waiting) onSettled(task)
  }

  /** The ids that somebody waits for. */
  ids(): string[] {
    return [...this.#byTask.keys()]
  }
}
