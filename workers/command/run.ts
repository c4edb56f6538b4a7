import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServerStopping } from '../../src/task/worker.ts'
import { ProcessGroup } from './process-group.ts'
import { startError } from './start-error.ts'

/** How long what a program has started may outlive it, and hold its output open, in milliseconds. */
const LINGER_MS = 250
/** The longest from SIGTERM to SIGKILL when the server stops: it waits two seconds. */
const STOP_WITHIN_MS = 1_000

export interface Launch {
  /** The program's path, absolute, and what it is told that it is called. */
  readonly file: string
  readonly program: string
  readonly args: readonly string[]
  readonly env: { readonly [name: string]: string }
  readonly cwd: string
  /** What it reads; undefined: nothing. */
  readonly stdin: string | undefined
  /** Milliseconds from SIGTERM to SIGKILL. */
  readonly killAfter: number
}

export interface Outlets {
  stdout(chunk: Buffer): void
  stderr(chunk: Buffer): void
}

/** How a program ended: with a code, or by a signal. */
export type Exit = { readonly exitCode: number } | { readonly signal: string }

/**
 * Runs a program in a process group of its own, to its end and that of all it has started. When the signal
 * aborts, the group is told to end, then ended.
 *
 * @throws what the signal was aborted for, once the group is gone; {@link startError} where it cannot start
 */
export async function runProgram(
  launch: Launch,
  outlets: Outlets,
  signal: AbortSignal,
): Promise<Exit> {
  signal.throwIfAborted()
  const child = start(launch)
  const { pid } = child
  if (pid === undefined) throw startError(await failureOf(child), launch)
  const group = new ProcessGroup(pid)
  const exited = exitOf(child)
  const closed = closeOf(child)
  read(child.stdout, outlets.stdout)
  read(child.stderr, outlets.stderr)
  feed(child, launch.stdin)
  const stop = () => group.end(patience(signal, launch.killAfter))
  signal.addEventListener('abort', stop, { once: true })
  const exit = await exited
  const gone = group.gone()
  if (!(await isWithin(LINGER_MS, Promise.all([gone, closed])))) {
    group.end(launch.killAfter)
    await gone
    await close(child, closed)
  }
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
  return exit
}

function start(launch: Launch): ChildProcess {
  const { file, program, args, env, cwd, stdin } = launch
  try {
    return spawn(file, args, {
      argv0: program,
      cwd,
      env,
      // A session and a group of its own: it is ended as one, and has no terminal to ask anybody.
      detached: true,
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
  } catch (error) {
    throw startError(error, launch)
  }
}

function read(stream: Readable | null, outlet: (chunk: Buffer) => void): void {
  // After an error it closes as after its end, and what came before has been read.
  stream?.on('data', outlet).on('error', () => {})
}

function feed({ stdin }: ChildProcess, text: string | undefined): void {
  if (stdin === null || text === undefined) return
  // A program need not read what it is given.
  stdin.on('error', () => {})
  stdin.end(text)
}

async function failureOf(child: ChildProcess): Promise<unknown> {
  const [error] = await once(child, 'error').catch((thrown: unknown) => [thrown])
  return error
}

function exitOf(child: ChildProcess): Promise<Exit> {
  const { promise, resolve } = Promise.withResolvers<Exit>()
  child.once('exit', (exitCode, signal) =>
    resolve(exitCode === null ? { signal: String(signal) } : { exitCode }),
  )
  return promise
}

function closeOf(child: ChildProcess): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  child.once('close', () => resolve())
  return promise
}

/** One that has left the group can hold the output open for as long as it likes. */
async function close({ stdout, stderr }: ChildProcess, closed: Promise<void>): Promise<void> {
  if (await isWithin(LINGER_MS, closed)) return
  stdout?.destroy()
  stderr?.destroy()
  await closed
}

function patience(signal: AbortSignal, killAfter: number): number {
  return signal.reason instanceof ServerStopping ? Math.min(killAfter, STOP_WITHIN_MS) : killAfter
}

/** Whether a promise is fulfilled in time. */
async function isWithin(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let isFulfilled = false
  const fulfilled = promise.then(() => {
    isFulfilled = true
  })
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([fulfilled, late])
  clearTimeout(timer)
  // A busy server may hear of the time before it hears of what came in meanwhile.
  for (let turn = 0; turn < 2 && !isFulfilled; turn++) await nextTurn()
  return isFulfilled
}
