import type { LogEntry, LogLevel } from './task.ts'

/** The bounds of one task's log; past either, the oldest lines are dropped. */
export const LOG_BOUNDS = { lines: 1_000, characters: 262_144, line: 8_192 } as const

/** The latest lines of one task's log, within {@link LOG_BOUNDS}. */
export class TaskLog {
  #entries: LogEntry[] = []
  #characters = 0
  #next = 0

  /** Adds a line, cut at {@link LOG_BOUNDS}`.line` characters, and returns it as it was kept. */
  append(at: number, level: LogLevel, message: string): LogEntry {
    const kept =
      message.length > LOG_BOUNDS.line ? `${message.slice(0, LOG_BOUNDS.line - 1)}…` : message
    const entry: LogEntry = { index: this.#next++, at, level, message: kept }
    this.#entries.push(entry)
    this.#characters += kept.length
    this.#trim()
    return entry
  }

  get entries(): readonly LogEntry[] {
    return this.#entries
  }

  #trim(): void {
    let drop = 0
    while (
      this.#entries.length - drop > LOG_BOUNDS.lines ||
      (this.#characters > LOG_BOUNDS.characters && this.#entries.length - drop > 1)
    ) {
      this.#characters -= this.#entries[drop]?.message.length ?? 0
      drop++
    }
    if (drop > 0) this.#entries.splice(0, drop)
  }
}
