import type { Attempt } from './attempt.ts'

/**
 * The attempts that are being made. Every task comes and goes here and few are ever looked up, so they
 * stand in a list, each knowing its place, and not in a Map.
 */
export class RunningAttempts {
  readonly #attempts: Attempt[] = []

  get size(): number {
    return this.#attempts.length
  }

  add(attempt: Attempt): void {
    attempt.place = this.#attempts.push(attempt) - 1
  }

  remove(attempt: Attempt): void {
    const last = this.#attempts.pop()
    if (last === undefined || last === attempt) return
    last.place = attempt.place
    this.#attempts[attempt.place] = last
  }

  find(taskId: string): Attempt | undefined {
    return this.#attempts.find(({ task }) => task.id === taskId)
  }

  /** All of them, as they are now. */
  all(): Attempt[] {
    return [...this.#attempts]
  }
}
