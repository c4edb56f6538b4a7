import { once } from 'node:events'
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import type { EgressPolicy } from '../task/egress.ts'
import type { Json } from '../task/json.ts'
import type { Report } from '../task/store.ts'
import type { Failure } from '../task/task.ts'
import { type StopReason, TaskError } from '../task/worker.ts'
import type { AttemptContext } from './context.ts'
import type { RegisteredWorker } from './registry.ts'

/** How long a thread may take to end by itself once it was told to, in milliseconds. */
const GRACE_MS = 250
/** How often a thread that does not end is told again, in milliseconds. */
const TERMINATE_EVERY_MS = 100
/** How long a thread without work is kept, in milliseconds. */
const IDLE_MS = 10_000

/** What a thread is given to perform; `port` carries the messages below. */
export interface ThreadJob {
  module: string
  input: Json
  id: string
  attempt: number
  filesRoot: string
  egress: string
  deadline: number | undefined
  port: MessagePort
}

export type ToThread =
  | { type: 'abort'; name: string; message: string; code: string | undefined }
  | { type: 'pause' }
  | { type: 'resume' }

/** Failures are values here: an error that crosses threads loses its class and its members. */
export type ThreadResult = { output: Json } | { failure: Failure; output: Json | undefined }

export type FromThread = { type: 'report'; report: Report } | { type: 'checkpoint' }

/** Performs the tasks of workers that are isolated, each worker in a pool of threads of its own. */
export class Threads {
  readonly #pools = new Map<string, Promise<Piscina>>()
  readonly #egress: EgressPolicy

  constructor(egress: EgressPolicy) {
    this.#egress = egress
  }

  /**
   * Performs in a thread. When the attempt is aborted the thread is told, and is ended if it has not let go
   * within {@link GRACE_MS}: not even an endless loop outlives its cancel.
   */
  async perform(worker: RegisteredWorker, input: Json, context: AttemptContext): Promise<unknown> {
    const pool = await this.#pool(worker)
    const { port1: port, port2 } = new MessageChannel()
    const end = new AbortController()
    let graceOver: NodeJS.Timeout | undefined
    let threadEnded: Promise<unknown> | undefined
    port.on('message', (message: FromThread) => {
      if (message.type === 'checkpoint') context.noteCheckpoint()
      else context.relay(message.report)
    })
    const steer = () => {
      port.postMessage(toThread(context))
      if (context.reason === undefined) return
      graceOver ??= setTimeout(() => {
        threadEnded = endedBy(pool, () => end.abort(context.reason))
      }, GRACE_MS)
    }
    context.onSteer(steer)
    if (context.reason !== undefined) steer()
    try {
      const job: ThreadJob = {
        module: worker.module ?? '',
        input,
        id: context.id,
        attempt: context.attempt,
        filesRoot: context.filesRoot,
        egress: this.#egress.text,
        deadline: context.deadline?.getTime(),
        port: port2,
      }
      // Piscina infers this type from an overload of postMessage that Node's declarations no longer list last.
      const transferList = [port2] as never
      const result: ThreadResult = await pool.run(job, { transferList, signal: end.signal })
      if (!('failure' in result)) return result.output
      const { failure, output } = result
      throw new TaskError(failure.code, failure.message, { ...failure, output })
    } finally {
      context.onSteer(undefined)
      clearTimeout(graceOver)
      port.close()
      // Not before the thread is gone is its slot free.
      await threadEnded
    }
  }

  /** Ends every thread. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(
      pools.map(async (starting) => {
        const pool = await starting
        const gone = pool.threads.map(exitOf)
        await pool.destroy()
        await Promise.all(gone)
      }),
    )
  }

  #pool(worker: RegisteredWorker): Promise<Piscina> {
    const known = this.#pools.get(worker.name)
    if (known !== undefined) return known
    const pool = startPool()
    this.#pools.set(worker.name, pool)
    return pool
  }
}

/** Threads are as many as run at once: how many may is the queue's to say, so the pool's own limit is out of the way. */
async function startPool(): Promise<Piscina> {
  // Loaded when a worker first needs it: most servers never do.
  const { Piscina } = await import('piscina')
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new Piscina({
    filename: new URL(`./thread.${extension}`, import.meta.url).href,
    minThreads: 0,
    maxThreads: 1_024,
    idleTimeout: IDLE_MS,
    recordTiming: false,
  })
}

/** Resolves when the threads that an abort takes out of the pool have exited. */
function endedBy(pool: Piscina, abort: () => void): Promise<unknown> {
  const before = pool.threads
  abort()
  const left = new Set(pool.threads)
  return Promise.all(before.filter((thread) => !left.has(thread)).map(exitOf))
}

/**
 * A thread that is ended while it still loads its modules can miss it, and begin the loop that it was to be
 * kept from: it is told again until it has gone.
 */
async function exitOf(thread: Worker): Promise<void> {
  const exited = once(thread, 'exit')
  const again = setInterval(() => thread.terminate(), TERMINATE_EVERY_MS)
  await exited
  clearInterval(again)
}

function toThread(context: AttemptContext): ToThread {
  const reason: (StopReason & { code?: string }) | undefined = context.reason
  if (reason !== undefined)
    return { type: 'abort', name: reason.name, message: reason.message, code: reason.code }
  return { type: context.isPaused ? 'pause' : 'resume' }
}
