import { EgressPolicy } from '../task/egress.ts'
import {
  type AnyWorker,
  ServerStopping,
  type StopReason,
  TaskCanceled,
  TaskTimedOut,
} from '../task/worker.ts'
import { AttemptContext } from './context.ts'
import { toFailure } from './failure.ts'
import { resolveErrand } from './load-workers.ts'
import { outputOf, toOutput } from './output.ts'
import type { FromThread, ThreadJob, ThreadResult, ToThread } from './threads.ts'

resolveErrand()

/** The entry of a worker thread: performs one attempt, with a context that speaks to the server's by messages. */
export default async function perform(job: ThreadJob): Promise<ThreadResult> {
  const tell = (message: FromThread) => job.port.postMessage(message)
  const context = new AttemptContext(
    {
      id: job.id,
      attempt: job.attempt,
      filesRoot: job.filesRoot,
      egress: EgressPolicy.parse(job.egress),
      shownDeadline: job.deadline,
    },
    {
      report: (report) => tell({ type: 'report', report }),
      onCheckpoint: () => tell({ type: 'checkpoint' }),
    },
  )
  job.port.on('message', (message: ToThread) => {
    if (message.type === 'abort') context.abort(toReason(message))
    else if (message.type === 'pause') context.pause()
    else context.resume()
  })
  try {
    const { default: worker }: { default: AnyWorker } = await import(job.module)
    return toResult(toOutput(await worker.perform(job.input, context)))
  } catch (thrown) {
    return { failure: toFailure(thrown), output: outputOf(thrown) }
  } finally {
    context.end()
    job.port.close()
  }
}

function toResult(result: ReturnType<typeof toOutput>): ThreadResult {
  return 'failure' in result ? { ...result, output: undefined } : result
}

function toReason(message: Extract<ToThread, { type: 'abort' }>): StopReason {
  if (message.name === 'TaskTimedOut') {
    return new TaskTimedOut(
      message.code === 'deadline-exceeded' ? 'deadline-exceeded' : 'timeout',
      message.message,
    )
  }
  return message.name === 'TaskCanceled' ? new TaskCanceled() : new ServerStopping()
}
