import type { Task } from '../task/task.ts'

/** Most tasks that somebody waits for settle within this time, in milliseconds, and need no timer. */
const SOON_MS = 5

/** What ends a wait early: an AbortSignal, or what is cheaper to make and does as much. */
export interface GiveUpSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** One who waits for a task, until {@link Waiters.remove}. */
export class Waiter {
  readonly id: string
  /** Resolves with the task once it has settled, or with undefined once the wait is over. */
  readonly settled: Promise<Task | undefined>
  readonly #until: number
  readonly #signal: GiveUpSignal | undefined
  #resolve: (task: Task | undefined) => void = () => {}
  #giveUp: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  /** {@link Waiter.arm} is called some milliseconds later: a timer and a listener are not free. */
  constructor(id: string, timeoutMs: number, signal: GiveUpSignal | undefined) {
    this.id = id
    this.#until = performance.now() + timeoutMs
    this.#signal = signal
    this.settled = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  resolve(task: Task | undefined): void {
    this.#isOver = true
    this.#resolve(task)
  }

  /** Ends the wait at its time, and at its signal. */
  arm(): void {
    if (this.#isOver) return
    const left = this.#until - performance.now()
    if (left <= 0 || this.#signal?.aborted === true) return this.resolve(undefined)
    const giveUp = () => this.resolve(undefined)
    this.#giveUp = giveUp
    this.#timer = setTimeout(giveUp, left)
    this.#signal?.addEventListener('abort', giveUp)
  }

  /** Lets go of the timer and the signal. */
  disarm(): void {
    this.#isOver = true
    if (this.#giveUp === undefined) return
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#giveUp)
  }
}

/** Those who wait for tasks to settle. Most tasks have none, and of the others nearly all have one. */
export class Waiters {
  readonly #byTask = new Map<string, Waiter | Set<Waiter>>()
  #fresh: Waiter[] = []
  #armSoon: NodeJS.Timeout | undefined

  /** @param timeoutMs after which the wait is over */
  add(id: string, timeoutMs: number, signal?: GiveUpSignal): Waiter {
    const waiter = new Waiter(id, timeoutMs, signal)
    if (timeoutMs <= SOON_MS || signal?.aborted === true) waiter.arm()
    else {
      this.#fresh.push(waiter)
      this.#armSoon ??= setTimeout(() => this.#arm(), SOON_MS)
    }
    const waiting = this.#byTask.get(id)
    if (waiting === undefined) this.#byTask.set(id, waiter)
    else if (waiting instanceof Set) waiting.add(waiter)
    else this.#byTask.set(id, new Set([waiting, waiter]))
    return waiter
  }

  /** Whether the wait is over or not. */
  remove(waiter: Waiter): void {
    waiter.disarm()
    const waiting = this.#byTask.get(waiter.id)
    if (waiting === waiter) this.#byTask.delete(waiter.id)
    else if (waiting instanceof Set) {
      waiting.delete(waiter)
      if (waiting.size === 0) this.#byTask.delete(waiter.id)
    }
    if (this.#byTask.size > 0) return
    clearTimeout(this.#armSoon)
    this.#armSoon = undefined
    this.#fresh = []
  }

  settled(task: Task): void {
    if (this.#byTask.size === 0) return
    const waiting = this.#byTask.get(task.id)
    if (waiting === undefined) return
    if (!(waiting instanceof Set)) return waiting.resolve(task)
    for (const waiter of waiting) waiter.resolve(task)
  }

  /** How many tasks somebody waits for. */
  get size(): number {
    return this.#byTask.size
  }

  /** The ids that somebody waits for. */
  ids(): string[] {
    return [...this.#byTask.keys()]
  }

  #arm(): void {
    this.#armSoon = undefined
    const fresh = this.#fresh
    this.#fresh = []
    for (const waiter of fresh) waiter.arm()
  }
}
