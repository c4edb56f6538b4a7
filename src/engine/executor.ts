import { type Json, toJson } from '../task/json.ts'
import type { Action } from '../task/lifecycle.ts'
import type { Performer } from '../task/store.ts'
import { type Asking, Suspension } from '../task/suspension.ts'
import {
  ANSWER_TYPES,
  type Failure,
  type Outcome,
  type RetryPolicy,
  type Task,
} from '../task/task.ts'
import { ServerStopping, TaskCanceled, TaskError, TaskTimedOut } from '../task/worker.ts'
import { Attempt, type AttemptSurroundings } from './attempt.ts'
import { backoff } from './backoff.ts'
import { stackOf, toFailure } from './failure.ts'
import { outputOf, toOutput } from './output.ts'
import type { Redactor } from './redactor.ts'
import type { RegisteredWorker, Registry } from './registry.ts'
import { RunningAttempts } from './running.ts'
import { hasSecretRef, resolveSecretRefs } from './secret-refs.ts'
import type { Secrets } from './secrets.ts'
import type { Threads } from './threads.ts'

/** The longest request of a suspended task, in characters. */
const MAX_QUESTION = 65_536
/** The longest wait for an answer, in milliseconds: a hundred years. */
const MAX_WITHIN_MS = 100 * 366 * 86_400_000
/** How long a worker may take to say whether it takes an action, in milliseconds. */
const SIGNAL_WITHIN_MS = 5_000
/** How long an attempt may take to its first checkpoint before it is held to have none, in milliseconds. */
const CHECKPOINT_WITHIN_MS = 500

export interface ExecutorOptions extends AttemptSurroundings {
  registry: Registry
  threads: Threads
  secrets: Secrets
  /** The largest output, in characters of its JSON, roughly. */
  maxOutput: number
}

/** Makes attempts: start → perform → classify, each attempt yielding one outcome whatever its worker does. */
export class Executor {
  readonly #options: ExecutorOptions
  readonly #attempts = new RunningAttempts()
  #onIdle: (() => void) | undefined

  constructor(options: ExecutorOptions) {
    this.#options = options
  }

  /** The ids of the tasks whose attempts have not ended. */
  get running(): string[] {
    return this.#attempts.all().map(({ task }) => task.id)
  }

  isRunning(id: string): boolean {
    return this.#attempts.find(id) !== undefined
  }

  /** What a store calls to have this worker's tasks performed. */
  performer(worker: RegisteredWorker): Performer {
    return {
      perform: (task) => this.#attempt(worker, task),
      act: (task, action) => this.#act(task.id, action),
    }
  }

  /** Tells every attempt to end because the server does. */
  abortAll(): void {
    for (const { context } of this.#attempts.all()) context.abort(new ServerStopping())
  }

  /** Resolves with true once no attempt runs, or with false after `withinMs`. */
  async idle(withinMs: number): Promise<boolean> {
    if (this.#attempts.size === 0) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), withinMs)
    this.#onIdle = () => resolve(true)
    const isIdle = await promise
    clearTimeout(timer)
    this.#onIdle = undefined
    return isIdle
  }

  async #attempt(worker: RegisteredWorker, task: Task): Promise<Outcome> {
    const attempt = new Attempt(task, worker, this.#options)
    this.#attempts.add(attempt)
    try {
      const returned = this.#perform(attempt)
      // Most of what is quick is not a promise, and to await it would cost another turn.
      return this.#classifyOutput(attempt, isThenable(returned) ? await returned : returned)
    } catch (thrown) {
      return this.#outcomeOfThrown(attempt, thrown)
    } finally {
      attempt.end()
      this.#attempts.remove(attempt)
      if (this.#attempts.size === 0) this.#onIdle?.()
    }
  }

  /** An attempt yields an outcome, even where to make one of what was thrown goes wrong: its slot depends on it. */
  #outcomeOfThrown(attempt: Attempt, thrown: unknown): Outcome {
    try {
      return this.#classifyThrown(attempt, thrown)
    } catch (broken) {
      this.#options.log.error(
        { task: attempt.task.id, name: broken instanceof Error ? broken.name : typeof broken },
        'the outcome of an attempt could not be made',
      )
      const message = 'What the worker threw could not be made an error of the task.'
      return { status: 'failed', error: { code: 'worker-error', message, retryable: false } }
    }
  }

  #perform(attempt: Attempt): unknown {
    const { task, worker } = attempt
    if (hasSecretRef(task.input)) return this.#performWithSecrets(attempt)
    // A copy: what a worker does to its input must not reach the record, nor the next attempt.
    const input = toJson(task.input)
    if (worker.secrets !== undefined) attempt.hide(worker.secrets.values(input))
    return this.#performOn(attempt, input)
  }

  async #performWithSecrets(attempt: Attempt): Promise<unknown> {
    const { task, worker, context } = attempt
    const { registry, secrets } = this.#options
    const resolved = await resolveSecretRefs(task.input, (name) => secrets.read(name))
    attempt.hide([...resolved.secrets, ...(worker.secrets?.values(resolved.value) ?? [])])
    const fault = registry.inputFault(worker.name, resolved.value)
    if (fault !== undefined) {
      throw new TaskError('invalid-input', `With its secrets, the input is refused: ${fault}.`, {
        retryable: false,
      })
    }
    if (context.reason !== undefined) throw context.reason
    return this.#performOn(attempt, resolved.value)
  }

  #performOn({ worker, context }: Attempt, input: Json): unknown {
    if (worker.definition.isolate === 'thread')
      return this.#options.threads.perform(worker, input, context)
    return worker.definition.perform(input, context)
  }

  #classifyOutput(attempt: Attempt, returned: unknown): Outcome {
    const { context, worker } = attempt
    // A cancel that came too late to stop the work leaves its result; a timeout does not.
    if (context.reason instanceof TaskTimedOut) return this.#fail(attempt, timedOut(context.reason))
    if (returned instanceof Suspension) return this.#suspend(attempt, returned)
    const output = toOutput(returned, this.#options.maxOutput)
    if ('failure' in output) return this.#fail(attempt, output.failure)
    const fault = this.#options.registry.outputFault(worker.name, output.output)
    if (fault === undefined) {
      const { redactor } = attempt
      return { status: 'completed', output: redactor?.json(output.output) ?? output.output }
    }
    return this.#fail(attempt, {
      code: 'invalid-output',
      message: `The worker's output does not fit its schema: ${fault}.`,
      retryable: false,
    })
  }

  #suspend(attempt: Attempt, { asking }: Suspension): Outcome {
    const { worker } = attempt
    const fault =
      worker.definition.respond === undefined
        ? `Worker ${worker.name} has suspended its task and has no respond to take an answer.`
        : questionFault(asking)
    if (fault !== undefined)
      return this.#fail(attempt, { code: 'worker-error', message: fault, retryable: false })
    const { reference = '', type = 'text', within, expired } = asking
    const show = (text: string) => attempt.redactor?.text(text) ?? text
    const expiresAt = within === undefined ? undefined : Date.now() + within
    return {
      status: 'suspended',
      question: { request: show(asking.request), reference: show(reference), type, expiresAt },
      expired: {
        code: expired?.code ?? 'not-answered',
        message: show(expired?.message ?? 'Nobody answered in time.'),
        retryable: false,
      },
    }
  }

  #classifyThrown(attempt: Attempt, thrown: unknown): Outcome {
    const { reason } = attempt.context
    if (reason instanceof TaskCanceled) {
      const message = 'The task was canceled while it ran.'
      return { status: 'canceled', error: { code: 'canceled', message, retryable: false } }
    }
    if (reason instanceof TaskTimedOut) return this.#fail(attempt, timedOut(reason))
    if (reason instanceof ServerStopping) {
      return {
        status: 'failed',
        error: { code: 'server-stopping', message: reason.message, retryable: true },
      }
    }
    const { redactor } = attempt
    const failure = withoutSecrets(toFailure(thrown), redactor)
    if (failure.code === 'worker-error') this.#logThrown(attempt, failure, thrown)
    const output = outputOf(thrown, this.#options.maxOutput)
    return this.#fail(
      attempt,
      failure,
      output === undefined ? undefined : (redactor?.json(output) ?? output),
    )
  }

  /** What a worker did not mean to throw is a defect of its own: its place belongs in the log. */
  #logThrown({ task, worker, redactor }: Attempt, { message }: Failure, thrown: unknown): void {
    const stack = stackOf(thrown)
    this.#options.log.warn(
      {
        task: task.id,
        worker: worker.name,
        error: message,
        stack: stack && (redactor?.text(stack) ?? stack),
      },
      'worker threw',
    )
  }

  /** A failure, with the wait before the next attempt where the policy allows one more. */
  #fail({ task, worker, context }: Attempt, error: Failure, output?: Json): Outcome {
    const policy: RetryPolicy = { ...worker.retry, ...task.options?.retry }
    const isOver = context.reason !== undefined && !(context.reason instanceof TaskTimedOut)
    if (!error.retryable || task.attempt > policy.retries || isOver)
      return { status: 'failed', error, output }
    const retryInMs = backoff(policy, task.attempt)
    const deadline = task.options?.deadline ?? Number.POSITIVE_INFINITY
    if (Date.now() + retryInMs >= deadline) return { status: 'failed', error, output }
    return { status: 'failed', error, retryInMs }
  }

  async #act(id: string, action: Action): Promise<boolean> {
    const attempt = this.#attempts.find(id)
    // It has just ended: what it yielded says more than any answer here.
    if (attempt === undefined) return true
    const answer = await this.#askWorker(attempt, action)
    const { context } = attempt
    if (context.isEnded) return true
    switch (action) {
      case 'cancel':
        if (answer === false) return false
        context.abort(new TaskCanceled())
        return true
      case 'pause':
        if (!(answer ?? (await context.usesCheckpoints(CHECKPOINT_WITHIN_MS)))) return false
        context.pause()
        return true
      case 'resume':
        if (answer === false) return false
        context.resume()
        return true
      case 'restart':
        return answer === true
    }
  }

  /** What the worker's own `signal` says, or undefined where it has none or does not answer. */
  async #askWorker(
    { worker, task, context, redactor }: Attempt,
    action: Action,
  ): Promise<boolean | undefined> {
    if (worker.definition.signal === undefined) return undefined
    const { promise: late, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => {
      this.#options.log.warn(
        { task: task.id, worker: worker.name, action },
        'worker did not answer its signal in time',
      )
      resolve(undefined)
    }, SIGNAL_WITHIN_MS)
    try {
      return await Promise.race([worker.definition.signal(action, context), late])
    } catch (thrown) {
      const { message } = withoutSecrets(toFailure(thrown), redactor)
      this.#options.log.warn(
        { task: task.id, worker: worker.name, action, error: message },
        'worker threw in its signal',
      )
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }
}

function withoutSecrets(failure: Failure, redactor: Redactor | undefined): Failure {
  if (redactor === undefined) return failure
  const { code, message, retryable } = failure
  const isCodeSafe = redactor.text(code) === code
  return { code: isCodeSafe ? code : 'worker-error', message: redactor.text(message), retryable }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value
}

/** What is wrong with a question that a worker asks, or undefined. */
function questionFault({ request, reference = '', type, within }: Asking): string | undefined {
  if (typeof request !== 'string' || typeof reference !== 'string')
    return 'The request and the reference of a suspended task must be text.'
  if (request.length > MAX_QUESTION || reference.length > MAX_QUESTION)
    return `The request of a suspended task is longer than ${MAX_QUESTION} characters.`
  if (type !== undefined && !ANSWER_TYPES.includes(type))
    return `The answer of a suspended task must be one of ${ANSWER_TYPES.join(', ')}.`
  if (within !== undefined && !(within > 0 && within <= MAX_WITHIN_MS))
    return 'A suspended task must be answered within a number of milliseconds above 0.'
  return undefined
}

function timedOut(reason: TaskTimedOut): Failure {
  return { code: reason.code, message: reason.message, retryable: reason.code === 'timeout' }
}
