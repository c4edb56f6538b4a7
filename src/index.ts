/**
 * Errand as a package: everything a worker's author and an embedding application need.
 */

export type { Static } from 'typebox'
export { Type } from 'typebox'
export { type AppOptions, createApp, errand } from './app.ts'
export type { Engine, WorkerState } from './engine/engine.ts'
export type { SubmitOptions } from './engine/submission.ts'
export { CATALOGUE, ErrandError, type ErrorCode } from './task/errors.ts'
export type { Json } from './task/json.ts'
export type { Action, Status } from './task/lifecycle.ts'
export type { Failure, Progress, RetryPolicy, Task, TaskOptions } from './task/task.ts'
export {
  type AnyWorker,
  defineWorker,
  ServerStopping,
  StopReason,
  TaskCanceled,
  type TaskContext,
  TaskError,
  type TaskLogger,
  TaskTimedOut,
  type Worker,
} from './task/worker.ts'
