import { type TaskContext, TaskError } from '../../src/task/worker.ts'
import { loadService } from './service.ts'
import { type Login, Session } from './session.ts'
import { wait } from './waiter.ts'

/** What the worker takes. */
export interface Call extends Login {
  readonly client: string
  readonly service?: string
  readonly waiter?: string
  readonly parameters: object
  readonly timeout: number
}

/**
 * Makes one call, or waits. When it has settled, whichever way, its connections are closed and nothing of
 * it goes on.
 */
export async function callAws(call: Call, task: TaskContext): Promise<object> {
  const service = loadService(call.client)
  // What is not there is said before anything is connected to.
  const command = call.service === undefined ? undefined : service.command(call.service)
  const waiter = call.waiter === undefined ? undefined : service.waiter(call.waiter)
  const late = new AbortController()
  const signal = AbortSignal.any([task.signal, late.signal])
  const session = new Session(service, call, task, signal)
  const timer = setTimeout(() => late.abort(timedOut(call, session)), call.timeout)
  try {
    if (command !== undefined) {
      return await unlessAborted(signal, session.result(command, call.parameters))
    }
    if (waiter !== undefined) {
      return await unlessAborted(signal, wait(waiter, call.parameters, session, task))
    }
    throw new TaskError('invalid-parameters', 'Neither a service nor a waiter is named.', {
      retryable: false,
    })
  } finally {
    clearTimeout(timer)
    session.close()
  }
}

function timedOut({ timeout }: Call, session: Session): TaskError {
  return new TaskError(
    'timeout',
    `${session.attempted} took longer than ${timeout} ms${session.last}.`,
  )
}

/** The work, or the reason of the signal as soon as it is aborted: the SDK lets go of a request late. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    signal.throwIfAborted()
    return await Promise.race([work, promise])
  } catch (error) {
    work.catch(() => {})
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
