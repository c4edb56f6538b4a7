import type { Engine } from '../src/engine/engine.ts'
import { type KeptEvent, LOST, type TaskEvent } from '../src/engine/events.ts'
import { ErrandError } from '../src/task/errors.ts'
import { isTerminal } from '../src/task/lifecycle.ts'
import type { LogEntry, Task } from '../src/task/task.ts'
import { PushStream } from './push-stream.ts'
import { toLogLine, toTime } from './task-json.ts'

const MAX_STREAMS = 1_000
/** A comment of server-sent events: nothing, to keep the connection. */
const COMMENT = ':\n\n'

/** Every status and progress from now on, or since the id of the last event received. */
export function streamAll(engine: Engine, after: string | undefined): PushStream {
  checkRoom(engine)
  const onEvent = (event: TaskEvent) => {
    if (event.type !== 'log') stream.write(toSharedSse(event))
  }
  const subscription = engine.events.subscribe({ onEvent, onEnd: () => stream.end() }, { after })
  const { isGap, lastId, missed } = subscription
  function* backlog() {
    if (isGap) yield reset(lastId)
    else yield `id: ${after ?? lastId}\n${COMMENT}`
    for (const event of missed) yield event === LOST ? reset(lastId) : toSse(event, event.id)
  }
  const stream = new PushStream({
    backlog: backlog(),
    keepAlive: COMMENT,
    onClose: () => subscription.close(),
  })
  return stream
}

/**
 * The events of one task; undefined where it has settled and the reader has all there was.
 *
 * An event's id here is `EVENT.LINE`: the last event that the reader has, and the next line of the log. Log
 * lines that were kept are sent before the events that were missed, and so carry the id of the event before
 * those; a reader that has had no event yet has none.
 */
export async function streamTask(
  engine: Engine,
  id: string,
  lastId: string | undefined,
): Promise<PushStream | undefined> {
  checkRoom(engine)
  const { after, fromLine } = parseId(lastId)
  const live: KeptEvent[] = []
  let onEvent = (event: TaskEvent) => {
    if (event.type !== 'log') live.push(event)
  }
  let onEnd = () => {}
  const subscription = engine.events.subscribe(
    { onEvent: (event) => onEvent(event), onEnd: () => onEnd() },
    { after, task: id },
  )
  try {
    const task = await engine.get(id)
    const entries = await engine.logs(id, fromLine)
    const isReplay = after !== undefined && !subscription.isGap
    const { missed } = subscription
    const firstMissed = missed.next()
    const isOver = isTerminal(task.status)
    const isMissing = firstMissed.done !== true || live.length > 0 || entries.length > 0
    if (isReplay && isOver && !isMissing) {
      subscription.close()
      return undefined
    }
    let nextLine = (entries.at(-1)?.index ?? fromLine - 1) + 1
    // Events that came while the task was read are in what was read, or among the missed.
    const now = present(engine.events.lastId, task)
    const linesAfter = nextLine
    const render = (event: KeptEvent) => toSse(event, `${event.id}.${linesAfter}`)
    function* backlog(): Generator<string, void> {
      if (subscription.isGap) yield reset(`.${fromLine}`)
      for (const entry of entries) {
        yield toSse(
          { id: '', type: 'log', task, entry, at: entry.at },
          `${isReplay ? after : ''}.${entry.index + 1}`,
        )
      }
      if (!isReplay) return yield render(now)
      for (let next = firstMissed; next.done !== true; next = missed.next()) {
        if (next.value !== LOST) {
          yield render(next.value)
          continue
        }
        yield reset(`.${linesAfter}`)
        return yield render(now)
      }
      for (const event of live) yield render(event)
    }
    const stream = new PushStream({
      backlog: backlog(),
      keepAlive: COMMENT,
      onClose: () => subscription.close(),
    })
    onEnd = () => stream.end()
    onEvent = (event) => {
      if (event.type === 'log') {
        if (event.entry.index < nextLine) return
        nextLine = event.entry.index + 1
      }
      stream.write(toSse(event, `${event.id}.${nextLine}`))
      if (event.type === 'status' && isTerminal(event.status)) stream.end()
    }
    if (isOver) stream.end()
    return stream
  } catch (error) {
    subscription.close()
    throw error
  }
}

/** The log lines of one task, each a JSON document on a line, until it settles. */
export async function followLog(engine: Engine, id: string): Promise<PushStream> {
  checkRoom(engine)
  let onEvent = (_event: TaskEvent) => {}
  let onEnd = () => {}
  const subscription = engine.events.subscribe(
    { onEvent: (event) => onEvent(event), onEnd: () => onEnd() },
    { task: id },
  )
  try {
    const task = await engine.get(id)
    const entries = await engine.logs(id)
    let next = (entries.at(-1)?.index ?? -1) + 1
    function* backlog() {
      for (const entry of entries) yield toLine(entry)
    }
    const stream = new PushStream({ backlog: backlog(), onClose: () => subscription.close() })
    onEnd = () => stream.end()
    onEvent = (event) => {
      if (event.type === 'log' && event.entry.index >= next) {
        next = event.entry.index + 1
        stream.write(toLine(event.entry))
      }
      if (event.type === 'status' && isTerminal(event.status)) stream.end()
    }
    if (isTerminal(task.status)) stream.end()
    return stream
  } catch (error) {
    subscription.close()
    throw error
  }
}

function toLine(entry: LogEntry): string {
  return `${JSON.stringify(toLogLine(entry))}\n`
}

/** The task as it stands, as the event that a reader without a past begins with. */
function present(id: string, task: Task): KeptEvent {
  const { status, attempt, error, notice } = task
  const at = task.finishedAt ?? task.startedAt ?? task.createdAt
  return { id, type: 'status', task, status, attempt, error, notice, at }
}

let lastShared: TaskEvent | undefined
let lastSharedText = ''

/** As {@link toSse}, once for all who are told of the event, so that it is held once for those who lag. */
function toSharedSse(event: TaskEvent): string {
  if (event !== lastShared) {
    lastSharedText = toSse(event, event.id)
    lastShared = event
  }
  return lastSharedText
}

function toSse(event: TaskEvent, id: string): string {
  const { task } = event
  const { worker } = task
  if (event.type === 'log')
    return frame(id, 'log', { id: task.id, worker, ...toLogLine(event.entry) })
  const at = toTime(event.at)
  if (event.type === 'progress')
    return frame(id, 'progress', { id: task.id, worker, progress: event.progress, at })
  const { priority, tags, parent, restartOf } = task
  const { status, attempt, error, notice } = event
  const createdAt = toTime(task.createdAt)
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
    error,
    notice,
  })
}

/** One event in the format of the HTML standard (server-sent events, section 9.2). */
function frame(id: string, event: string, data: object): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

function reset(id: string): string {
  return frame(id, 'reset', {})
}

/** The event and the next log line of an id that {@link streamTask} gave; whatever else is an unknown event. */
function parseId(id: string | undefined): { after: string | undefined; fromLine: number } {
  const match = /^(.*)\.(\d{1,15})$/.exec(id ?? '')
  if (match === null) return { after: id, fromLine: 0 }
  return { after: match[1] === '' ? undefined : match[1], fromLine: Number(match[2]) }
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
