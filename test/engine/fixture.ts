import type { Test } from 'tap'
import { Engine, type EngineOptions } from '../../src/engine/engine.ts'
import type { Logger } from '../../src/engine/logger.ts'
import { Registry } from '../../src/engine/registry.ts'
import { Secrets } from '../../src/engine/secrets.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { EgressPolicy } from '../../src/task/egress.ts'
import type { AnyWorker, TaskContext } from '../../src/task/worker.ts'

/** A logger that keeps what it is told. */
export class KeptLog implements Logger {
  readonly lines: string[] = []
  info(_details: object, message: string): void {
    this.lines.push(message)
  }
  warn(_details: object, message: string): void {
    this.lines.push(message)
  }
  error(_details: object, message: string): void {
    this.lines.push(message)
  }
}

/** A started engine of these workers on a memory store; it is stopped with the test. */
export function startEngine(
  t: Test,
  workers: readonly AnyWorker[],
  more: Partial<EngineOptions> = {},
): Engine {
  const registry = new Registry()
  for (const worker of workers) registry.add(worker, `worker ${worker.name}`)
  const engine = new Engine({
    registry,
    store: new MemoryStore(),
    log: new KeptLog(),
    retention: { maxAgeMs: 3_600_000, maxFinished: 10_000 },
    maxQueued: 10_000,
    maxOutput: 1_000_000,
    filesRoot: '/',
    secrets: new Secrets(undefined, {}),
    callbacks: undefined,
    egress: EgressPolicy.parse(''),
    ...more,
  })
  engine.start()
  t.teardown(() => engine.stop(0))
  return engine
}

/** A worker of any input and output around a function. */
export function worker(
  name: string,
  perform: (input: never, task: TaskContext) => unknown,
  more: Partial<AnyWorker> = {},
): AnyWorker {
  return { name, details: { description: name, input: {}, output: {} }, perform, ...more }
}

/** Rejects when the signal aborts, with its reason, as a worker that honours it does. */
export function untilAborted(task: TaskContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    task.signal.addEventListener('abort', () => reject(task.signal.reason))
    if (task.signal.aborted) reject(task.signal.reason)
  })
}
