/** Every status a task can have, in the order it usually passes through them. */
export const STATUSES = [
  'scheduled',
  'queued',
  'running',
  'waiting',
  'paused',
  'canceling',
  'completed',
  'failed',
  'canceled',
] as const

export type Status = (typeof STATUSES)[number]

/** A status that nothing leaves. */
export type TerminalStatus = 'completed' | 'failed' | 'canceled'

/** The statuses a new task can have. */
export const INITIAL: readonly Status[] = ['queued', 'scheduled']

/**
 * Every edge of the lifecycle. No store may take one that does not stand here; `docs/task-lifecycle.md`
 * draws it, and a test compares the two.
 */
export const EDGES: { readonly [from in Status]: readonly Status[] } = {
  scheduled: ['queued', 'canceled'],
  queued: ['running', 'canceled', 'failed'],
  running: ['completed', 'failed', 'canceling', 'paused', 'waiting', 'queued'],
  waiting: ['queued', 'running', 'completed', 'failed', 'canceled'],
  paused: ['running', 'canceling'],
  canceling: ['canceled', 'completed', 'failed'],
  completed: [],
  failed: [],
  canceled: [],
}

/**
 * The status to pass through where an attempt yields what has no edge of its own: an outcome can arrive
 * before the store has recorded the action that caused it.
 */
const VIA: { readonly [from in Status]?: { readonly [to in Status]?: Status } } = {
  running: { canceled: 'canceling' },
  paused: {
    completed: 'running',
    failed: 'running',
    queued: 'running',
    waiting: 'running',
    canceled: 'canceling',
  },
}

/** The actions that a client can ask for on a task. */
export const ACTIONS = ['cancel', 'pause', 'resume', 'restart'] as const

export type Action = (typeof ACTIONS)[number]

export function isTerminal(status: Status): status is TerminalStatus {
  return status === 'completed' || status === 'failed' || status === 'canceled'
}

/** True while an attempt holds one of its worker's slots. */
export function holdsSlot(status: Status): boolean {
  return status === 'running' || status === 'paused' || status === 'canceling'
}

/**
 * The statuses to take, one after the other, to get from one to another: `[to]` for an edge of the table,
 * two where one lies between. Empty where there is no way.
 */
export function route(from: Status, to: Status): readonly Status[] {
  if (EDGES[from].includes(to)) return [to]
  const via = VIA[from]?.[to]
  return via === undefined ? [] : [via, to]
}
