import type { Failure, Question } from './task.ts'

/** What a worker asks of a person. */
export interface Asking
  extends Pick<Question, 'request'>,
    Partial<Pick<Question, 'reference' | 'type'>> {
  /** Milliseconds in which it must be answered; for ever where it is left out. */
  within?: number
  /** Why the task fails where no answer comes in time. */
  expired?: Pick<Failure, 'code' | 'message'>
}

/**
 * What `perform` returns in place of an output when its task has to wait for an answer: made by
 * `task.suspend`. The attempt ends and its slot is free; `respond` of the worker makes the output.
 */
export class Suspension {
  readonly asking: Asking

  constructor(asking: Asking) {
    this.asking = asking
  }
}
