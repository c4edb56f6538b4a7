import type { Task } from '../task/task.ts'

type OnSettled = (task: Task) => void

/** Those who wait for tasks to settle. Most tasks have none, and of the others nearly all have one. */
export class Waiters {
  readonly #byTask = new Map<string, OnSettled | Set<OnSettled>>()

  /** Calls back when the task settles, unless it is removed before. */
  add(id: string, onSettled: OnSettled): void {
    const waiting = this.#byTask.get(id)
    if (waiting === undefined) this.#byTask.set(id, onSettled)
    else if (waiting instanceof Set) waiting.add(onSettled)
    else this.#byTask.set(id, new Set([waiting, onSettled]))
  }

  remove(id: string, onSettled: OnSettled): void {
    const waiting = this.#byTask.get(id)
    if (waiting === onSettled) this.#byTask.delete(id)
    if (!(waiting instanceof Set)) return
    waiting.delete(onSettled)
    if (waiting.size === 0) this.#byTask.delete(id)
  }

  settled(task: Task): void {
    if (this.#byTask.size === 0) return
    const waiting = this.#byTask.get(task.id)
    if (waiting === undefined) return
    this.#byTask.delete(task.id)
    if (!(waiting instanceof Set)) return waiting(task)
    for (const onSettled of waiting) onSettled(task)
  }

  /** The ids that somebody waits for. */
  ids(): string[] {
    return [...this.#byTask.keys()]
  }
}
