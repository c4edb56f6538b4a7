import { ErrandError } from '../task/errors.ts'
import { newId } from '../task/id.ts'
import { type NewTask, PRIORITIES, type Task, type TaskOptions } from '../task/task.ts'
import type { Registry } from './registry.ts'

/** What may be asked for with any task. */
export interface SubmitOptions extends TaskOptions {
  /** 0 to 9; 9 is taken from the queue first. */
  priority?: number
  tags?: readonly string[]
  /** The earliest start, in epoch milliseconds. */
  runAt?: number
  /** Of a worker's tasks, only the first with a key is made; later ones yield it again. */
  idempotencyKey?: string
  /** `reject`: refuse what cannot start at once. */
  onLimit?: 'queue' | 'reject'
  /** The task that starts this one. */
  parent?: string
}

/** @throws {@link ErrandError} `unknown-worker`, `invalid-input` */
export function newTask(
  registry: Registry,
  worker: string,
  input: unknown,
  options: SubmitOptions,
): NewTask {
  return {
    id: newId(),
    worker,
    input: registry.parseInput(worker, input),
    priority: options.priority ?? PRIORITIES.normal,
    tags: options.tags === undefined || options.tags.length === 0 ? undefined : options.tags,
    parent: options.parent,
    restartOf: undefined,
    options: toTaskOptions(options),
    runAt: options.runAt,
    idempotencyKey: options.idempotencyKey,
    batchSize: undefined,
  }
}

/** A task for each input. A key covers the list. @throws as {@link newTask}, with the index of the input */
export function newBatch(
  registry: Registry,
  worker: string,
  inputs: readonly unknown[],
  options: SubmitOptions,
): NewTask[] {
  return inputs.map((input, i) => {
    try {
      const task = newTask(registry, worker, input, options)
      task.idempotencyKey = keyWithin(options.idempotencyKey, i)
      task.batchSize = inputs.length
      return task
    } catch (error) {
      throw error instanceof ErrandError ? atIndex(error, i) : error
    }
  })
}

/** A task that repeats a finished one, with the options that still make sense. */
export function newRepeat(
  registry: Registry,
  task: Task,
): { again: NewTask; options: SubmitOptions } {
  const { deadline: _passed, ...kept } = task.options ?? {}
  const options: SubmitOptions = {
    ...kept,
    priority: task.priority,
    ...(task.tags !== undefined && { tags: task.tags }),
    ...(task.parent !== undefined && { parent: task.parent }),
  }
  const again = { ...newTask(registry, task.worker, task.input, options), restartOf: task.id }
  return { again, options }
}

function toTaskOptions(given: TaskOptions): TaskOptions | undefined {
  const { timeout, deadline, retry, callback } = given
  const isAny = (timeout ?? deadline ?? retry ?? callback) !== undefined
  if (!isAny) return undefined
  return {
    ...(timeout !== undefined && { timeout }),
    ...(deadline !== undefined && { deadline }),
    ...(retry !== undefined && { retry }),
    ...(callback !== undefined && { callback }),
  }
}

/** Within a batch each task has a key of its place; no key that a client can send has the separator in it. */
function keyWithin(key: string | undefined, index: number): string | undefined {
  return key === undefined ? undefined : `${key}\0${index}`
}

function atIndex(error: ErrandError, index: number): ErrandError {
  const faults = error.faults?.map(({ path, message }) => ({ path: `/${index}${path}`, message }))
  return new ErrandError(
    error.code,
    `Input ${index} of the batch: ${error.message}`,
    faults && { faults },
  )
}
