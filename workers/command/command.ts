import type { RetryPolicy } from '../../src/task/task.ts'
import type { Template } from './template.ts'
import type { Variable, Word } from './words.ts'

/** What becomes of a program's standard output. */
export const OUTPUTS = ['text', 'lines', 'json'] as const

/** What a worker that runs a program does: a definition that was checked. */
export interface Command {
  readonly description: string
  /** JSON Schema of an object. */
  readonly input: { readonly [keyword: string]: unknown } | undefined
  readonly example: unknown
  /** The program's path, absolute. */
  readonly file: string
  /** Its name, as the definition has it. */
  readonly program: string
  /** What messages call it. */
  readonly subject: string
  readonly words: readonly Word[]
  /** The variables of this process that the program gets too. */
  readonly inherited: readonly string[]
  readonly variables: readonly Variable[]
  /** What it reads: nothing, the input as JSON, or a text. */
  readonly stdin: 'none' | 'json' | Template
  /** Absolute. */
  readonly cwd: string
  readonly output: (typeof OUTPUTS)[number]
  /** The exit codes that are no failure. */
  readonly success: readonly number[]
  /** Bytes kept of standard output, and of standard error. */
  readonly maxOutput: number
  /** Milliseconds from SIGTERM to SIGKILL. */
  readonly killAfter: number
  readonly timeout: number | undefined
  readonly maxNumTasks: number | undefined
  readonly retry: Partial<RetryPolicy> | undefined
}
