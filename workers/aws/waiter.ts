import { setTimeout as sleep } from 'node:timers/promises'
import { type TaskContext, TaskError } from '../../src/task/worker.ts'
import { awsCode } from './failure.ts'
import { responseMetadata } from './result.ts'
import type { AwsCommand, CommandClass, WaitUntil } from './service.ts'
import type { Session } from './session.ts'

const DEFAULT_DELAY_S = 5
/** The pace of the SDK's own loop, which no signal interrupts: between two requests it is this one that waits. */
const SDK_DELAY_S = 0.001
const SDK_WAIT_S = 1_000_000

interface Members {
  readonly [name: string]: unknown
}

interface Pace {
  delayMs: number
  maxAttempts: number
}

/** Polls as a waiter does until it is satisfied, and resolves with what the last answer tells of itself. */
export async function wait(
  waitUntil: WaitUntil,
  parameters: object,
  session: Session,
  task: TaskContext,
): Promise<object> {
  const { WaiterConfig, ...input }: Members = { ...parameters }
  const poll = new Poll(session, readPace(WaiterConfig), task)
  const options = {
    client: poll,
    minDelay: SDK_DELAY_S,
    maxDelay: SDK_DELAY_S,
    maxWaitTime: SDK_WAIT_S,
    abortSignal: poll.signal,
  }
  try {
    await waitUntil(options, input)
  } catch {
    poll.signal.throwIfAborted()
    throw poll.failed('what it waits for cannot come any more')
  }
  return { ResponseMetadata: responseMetadata(poll.answer) }
}

/** What a waiter has in the place of a client: it sends what the waiter asks for, at its pace. */
class Poll {
  readonly config: object
  /** Aborted when the task is, and when it is given up. */
  readonly signal: AbortSignal
  /** The latest answer, an error or not. */
  answer: object = {}
  readonly #session: Session
  readonly #pace: Pace
  readonly #task: TaskContext
  readonly #giveUp = new AbortController()
  #attempts = 0

  constructor(session: Session, pace: Pace, task: TaskContext) {
    this.#session = session
    this.#pace = pace
    this.#task = task
    this.signal = AbortSignal.any([session.signal, this.#giveUp.signal])
    this.config = { logger: { warn: (message: string) => task.log.warn(message) } }
  }

  async send(command: AwsCommand): Promise<object> {
    if (this.#attempts > 0) await sleep(this.#pace.delayMs, undefined, { signal: this.signal })
    this.signal.throwIfAborted()
    this.#attempts++
    try {
      // The class of what a waiter makes is that of a command.
      const Command = command.constructor as CommandClass
      const output = await this.#session.send(Command, command.input)
      this.#note(output, 'answered')
      return output
    } catch (error) {
      this.signal.throwIfAborted()
      if (error instanceof Error) this.#note(error, awsCode(error))
      const failure = this.#session.failure(error)
      if (isFinal(failure)) this.#giveUp.abort(failure)
      throw error
    } finally {
      // After the waiter has looked at the answer, which may be the one it waits for.
      if (this.#attempts >= this.#pace.maxAttempts) {
        setImmediate(() => this.#giveUp.abort(this.failed('that many were allowed', true)))
      }
    }
  }

  failed(why: string, retryable = false): TaskError {
    const { attempted, last } = this.#session
    const times = this.#attempts === 1 ? 'one attempt' : `${this.#attempts} attempts`
    return new TaskError('waiter-failed', `${attempted} ended after ${times}: ${why}${last}.`, {
      retryable,
      output: { result: { ResponseMetadata: responseMetadata(this.answer) } },
    })
  }

  #note(answer: object, what: string): void {
    this.answer = answer
    const { HTTPStatusCode: status } = responseMetadata(answer)
    const shown = status === undefined ? what : `${what} (${status})`
    this.#session.last = `; the last answer was ${shown}`
    this.#task.progress(this.#attempts, undefined, `attempt ${this.#attempts}: ${shown}`)
  }
}

/**
 * Whether no further attempt can bring another answer. The waiters of the SDK go on after every error that
 * they do not expect, wrong credentials among them.
 */
function isFinal({ code, retryable }: TaskError): boolean {
  return !retryable && !code.startsWith('aws-')
}

function readPace(config: unknown): Pace {
  const given = config === undefined ? {} : config
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw badPace()
  const {
    Delay = DEFAULT_DELAY_S,
    MaxAttempts = Infinity,
    ...others
  } = { ...given } as {
    readonly [name: string]: unknown
  }
  if (typeof Delay !== 'number' || !(Delay >= 0 && Delay <= 3_600)) throw badPace()
  if (typeof MaxAttempts !== 'number' || !(MaxAttempts >= 1)) throw badPace()
  if (Object.keys(others).length > 0) throw badPace()
  return { delayMs: Delay * 1_000, maxAttempts: MaxAttempts }
}

function badPace(): TaskError {
  return new TaskError(
    'invalid-parameters',
    'parameters.WaiterConfig must be { "Delay": seconds, up to 3600, "MaxAttempts": from 1 on }.',
    { retryable: false },
  )
}
