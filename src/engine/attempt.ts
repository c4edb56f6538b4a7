import type { EgressPolicy } from '../task/egress.ts'
import type { Report } from '../task/store.ts'
import type { Task } from '../task/task.ts'
import { AttemptContext, type AttemptHost } from './context.ts'
import type { Logger } from './logger.ts'
import { Redactor } from './redactor.ts'
import type { RegisteredWorker } from './registry.ts'

/** How long an attempt that was told to end may go on before its task says so, in milliseconds. */
const PATIENCE_MS = 5_000

export interface AttemptSurroundings {
  log: Logger
  filesRoot: string
  egress: EgressPolicy
  userToken: ((url: string) => string | undefined) | undefined
  report(id: string, report: Report): void
}

/** One attempt that is being made: its task, its worker, and the context between them. */
export class Attempt implements AttemptHost {
  readonly task: Task
  readonly worker: RegisteredWorker
  readonly context: AttemptContext
  /** Its place among the running: theirs to keep. */
  place = -1
  /** Takes out the secrets of its input, where it has any. */
  redactor: Redactor | undefined
  readonly #hidden: string[] = []
  readonly #surroundings: AttemptSurroundings
  #patience: NodeJS.Timeout | undefined

  constructor(task: Task, worker: RegisteredWorker, surroundings: AttemptSurroundings) {
    this.task = task
    this.worker = worker
    this.#surroundings = surroundings
    this.context = new AttemptContext(
      {
        id: task.id,
        attempt: task.attempt,
        filesRoot: surroundings.filesRoot,
        egress: surroundings.egress,
        userToken: (url) => this.#userToken(url),
        timeout: task.options?.timeout ?? worker.timeout,
        deadline: task.options?.deadline,
      },
      this,
    )
  }

  report(report: Report): void {
    this.#surroundings.report(
      this.task.id,
      this.redactor === undefined ? report : redacted(report, this.redactor),
    )
  }

  /** From now on these are taken out of whatever the attempt reports, yields or fails with. */
  hide(secrets: readonly string[]): void {
    if (secrets.length === 0) return
    this.#hidden.push(...secrets)
    this.redactor = new Redactor(this.#hidden)
  }

  /** An attempt that was told to end and does not says so on its task, since it holds its slot. */
  onAbort(): void {
    this.#patience ??= setTimeout(() => {
      const { worker, task, context } = this
      const notice = `Told to end ${PATIENCE_MS / 1_000} s ago (${context.reason?.name}), its worker has not let go: it holds one of ${worker.maxNumTasks} slots.`
      this.report({ type: 'notice', notice })
      this.#surroundings.log.warn(
        { task: task.id, worker: worker.name },
        'worker ignores its signal and holds its slot',
      )
    }, PATIENCE_MS)
  }

  /** It is as good as a key: what the worker says must not show it. */
  #userToken(url: string): string | undefined {
    const token = this.#surroundings.userToken?.(url)
    if (token !== undefined) this.hide([token])
    return token
  }

  end(): void {
    this.context.end()
    clearTimeout(this.#patience)
  }
}

function redacted(report: Report, redactor: Redactor): Report {
  if (report.type === 'log') return { ...report, message: redactor.text(report.message) }
  if (report.type === 'notice') return { ...report, notice: redactor.text(report.notice) }
  const { progress } = report
  if (progress.message === undefined) return report
  return { ...report, progress: { ...progress, message: redactor.text(progress.message) } }
}
