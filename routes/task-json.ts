import type { Json } from '../src/task/json.ts'
import { isTerminal } from '../src/task/lifecycle.ts'
import type { LogEntry, Question, Task } from '../src/task/task.ts'

const MILLISECONDS = Array.from({ length: 1_000 }, (_, ms) => `.${String(ms).padStart(3, '0')}Z`)
let lastSecond = Number.NaN
let lastText = ''

/** RFC 3339 with milliseconds. Times that are rendered after each other are mostly of the same second. */
export function toTime(epochMs: number): string {
  const second = Math.floor(epochMs / 1_000)
  if (second !== lastSecond) {
    lastText = new Date(second * 1_000).toISOString().slice(0, -'.000Z'.length)
    lastSecond = second
  }
  return lastText + MILLISECONDS[epochMs - second * 1_000]
}

function toOptionalTime(epochMs: number | undefined): string | undefined {
  return epochMs === undefined ? undefined : toTime(epochMs)
}

/** A task without its input and output. Members that are undefined do not appear on the wire. */
export function toSummary(task: Task) {
  const { startedAt, finishedAt } = task
  return {
    id: task.id,
    worker: task.worker,
    status: task.status,
    attempt: task.attempt,
    priority: task.priority,
    tags: task.tags,
    parent: task.parent,
    restartOf: task.restartOf,
    progress: task.progress,
    question: task.question && toQuestion(task.question),
    notice: task.notice,
    createdAt: toTime(task.createdAt),
    runAt: toOptionalTime(task.runAt),
    startedAt: toOptionalTime(startedAt),
    finishedAt: toOptionalTime(finishedAt),
    durationMs: durationOf(task),
  }
}

function toQuestion({ expiresAt, answeredAt, ...question }: Question) {
  return {
    ...question,
    expiresAt: toOptionalTime(expiresAt),
    answeredAt: toOptionalTime(answeredAt),
  }
}

/** A summary with the output or the error, where there is one. */
export function toSettled(task: Task) {
  return Object.assign(toSummary(task), { output: task.output, error: task.error })
}

/** The whole task, with its input as it may be shown. */
export function toTask(task: Task, input: Json) {
  return Object.assign(toSettled(task), {
    input,
    timeoutMs: task.options?.timeout,
    deadline: toOptionalTime(task.options?.deadline),
    retry: task.options?.retry,
    callback: task.options?.callback,
  })
}

export function toLogLine(entry: LogEntry) {
  return { ...entry, at: toTime(entry.at) }
}

/** Milliseconds from the start of the latest attempt to the task's end; undefined while it has not both. */
export function durationOf(task: Task): number | undefined {
  if (!isTerminal(task.status) || task.startedAt === undefined || task.finishedAt === undefined)
    return undefined
  return Math.max(0, task.finishedAt - task.startedAt)
}
