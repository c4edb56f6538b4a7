import { Readable } from 'node:stream'
import type { Engine } from '../src/engine/engine.ts'
import type { TaskEvent } from '../src/engine/events.ts'
import { ErrandError } from '../src/task/errors.ts'
import { isTerminal } from '../src/task/lifecycle.ts'
import type { LogEntry, Task } from '../src/task/task.ts'
import { toLogLine, toSummary, toTime } from './task-json.ts'

/** A reader that is this far behind, in characters, is let go: it can come back with its Last-Event-ID. */
const MAX_BEHIND = 1_048_576
const MAX_STREAMS = 1_000
/** Proxies close what is silent for long; a comment now and then is not. */
const KEEP_ALIVE_MS = 15_000

/** Text that is sent as it comes, to a reader that keeps up. */
class PushStream extends Readable {
  readonly #onClose: () => void
  readonly #keepAlive: NodeJS.Timeout | undefined

  constructor(onClose: () => void, keepAlive: boolean) {
    super({ encoding: 'utf8', highWaterMark: MAX_BEHIND, read: () => {} })
    this.#onClose = onClose
    this.#keepAlive = keepAlive ? setInterval(() => this.write(':\n\n'), KEEP_ALIVE_MS) : undefined
  }

  write(text: string): void {
    if (this.destroyed || this.readableEnded) return
    if (!this.push(text)) this.destroy()
  }

  end(): void {
    if (!this.destroyed) this.push(null)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#keepAlive)
    this.#onClose()
    callback(error)
  }
}

/** Every status and progress from now on, or since the id of the last event received. */
export function streamAll(engine: Engine, after: string | undefined): PushStream {
  checkRoom(engine)
  const stream = new PushStream(() => subscription.close(), true)
  const send = (event: TaskEvent) => {
    if (event.type !== 'log') stream.write(toSse(event, event.id))
  }
  const subscription = engine.events.subscribe({ onEvent: send, onEnd: () => stream.end() }, after)
  stream.write(
    subscription.isGap ? reset(subscription.lastId) : `id: ${subscription.lastId}\n:\n\n`,
  )
  for (const event of subscription.missed) send(event)
  return stream
}

/** The events of one task; undefined where it has settled and the reader has all there was. */
export async function streamTask(
  engine: Engine,
  id: string,
  lastId: string | undefined,
): Promise<PushStream | undefined> {
  checkRoom(engine)
  const [after, fromLog] = splitId(lastId)
  let nextLog = fromLog
  const stream: PushStream = new PushStream(() => subscription.close(), true)
  const send = (event: TaskEvent) => {
    if (event.task.id !== id) return
    if (event.type === 'log') {
      if (event.entry.index < nextLog) return
      nextLog = event.entry.index + 1
    }
    stream.write(toSse(event, `${event.id}.${nextLog}`))
    if (event.type === 'status' && isTerminal(event.status)) stream.end()
  }
  const early: TaskEvent[] = []
  let deliver: (event: TaskEvent) => void = (event) => early.push(event)
  const subscription = engine.events.subscribe(
    { onEvent: (event) => deliver(event), onEnd: () => stream.end() },
    after,
  )
  try {
    const task = await engine.get(id)
    const entries = await engine.logs(id, nextLog)
    const missed = subscription.missed.filter((event) => event.task.id === id)
    const isUpToDate =
      after !== undefined && !subscription.isGap && missed.length === 0 && entries.length === 0
    if (isUpToDate && isTerminal(task.status)) {
      stream.destroy()
      return undefined
    }
    if (subscription.isGap) stream.write(reset(`${subscription.lastId}.${nextLog}`))
    for (const entry of entries)
      send({ id: subscription.lastId, type: 'log', task, entry, at: entry.at })
    const isReplay = after !== undefined && !subscription.isGap
    for (const event of isReplay ? missed : [present(subscription.lastId, task)]) send(event)
    deliver = send
    for (const event of early) send(event)
    return stream
  } catch (error) {
    stream.destroy()
    throw error
  }
}

/** The log lines of one task, each a JSON document on a line, until it settles. */
export async function followLog(engine: Engine, id: string): Promise<PushStream> {
  checkRoom(engine)
  let next = 0
  const stream: PushStream = new PushStream(() => subscription.close(), false)
  const send = (entry: LogEntry) => {
    if (entry.index < next) return
    next = entry.index + 1
    stream.write(`${JSON.stringify(toLogLine(entry))}\n`)
  }
  const onEvent = (event: TaskEvent) => {
    if (event.task.id !== id) return
    if (event.type === 'log') send(event.entry)
    if (event.type === 'status' && isTerminal(event.status)) stream.end()
  }
  const subscription = engine.events.subscribe({ onEvent, onEnd: () => stream.end() })
  try {
    const entries = await engine.logs(id)
    const task = await engine.get(id)
    for (const entry of entries) send(entry)
    if (isTerminal(task.status)) stream.end()
    return stream
  } catch (error) {
    stream.destroy()
    throw error
  }
}

/** The task as it stands, as the event that a reader without a past begins with. */
function present(id: string, task: Task): TaskEvent {
  const at = task.finishedAt ?? task.startedAt ?? task.createdAt
  return { id, type: 'status', task, status: task.status, attempt: task.attempt, at }
}

function toSse(event: TaskEvent, id: string): string {
  const { task } = event
  const { worker } = task
  if (event.type === 'log')
    return frame(id, 'log', { id: task.id, worker, ...toLogLine(event.entry) })
  const at = toTime(event.at)
  if (event.type === 'progress')
    return frame(id, 'progress', { id: task.id, worker, progress: event.progress, at })
  const { priority, tags, parent, restartOf, createdAt } = toSummary(task)
  const { status, attempt } = event
  // What only the status that the task has now can vouch for.
  const present = status === task.status ? { error: task.error, notice: task.notice } : {}
  return frame(id, 'status', {
    id: task.id,
    worker,
    status,
    attempt,
    at,
    priority,
    tags,
    parent,
    restartOf,
    createdAt,
    ...present,
  })
}

/** One event in the format of the HTML standard (server-sent events, section 9.2). */
function frame(id: string, event: string, data: object): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

function reset(id: string): string {
  return frame(id, 'reset', {})
}

/** A task's event ids carry the next log line beside the event: each is kept, and can be resumed, apart. */
function splitId(id: string | undefined): [event: string | undefined, nextLog: number] {
  if (id === undefined) return [undefined, 0]
  const dot = id.lastIndexOf('.')
  const nextLog = Number(id.slice(dot + 1))
  return dot === -1 || !Number.isSafeInteger(nextLog) || nextLog < 0
    ? [id, 0]
    : [id.slice(0, dot), nextLog]
}

function checkRoom(engine: Engine): void {
  if (engine.events.readers < MAX_STREAMS) return
  throw new ErrandError(
    'too-many-streams',
    `The server holds ${MAX_STREAMS} streams, as many as it may: close some.`,
    {
      retryAfter: 5,
    },
  )
}
