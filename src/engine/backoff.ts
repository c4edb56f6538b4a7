import type { RetryPolicy } from '../task/task.ts'

/**
 * The wait in milliseconds before the next attempt, after `attempt` (1 for the first) has failed: grows by
 * `factor` from `delayMs` up to `maxDelayMs`. The share `jitter` of it is drawn at random, so that tasks
 * that failed together do not come back together.
 *
 * @param random from 0 to 1
 */
export function backoff(
  policy: RetryPolicy,
  attempt: number,
  random: number = Math.random(),
): number {
  // Nothing grows from nothing: 0 times what is past all numbers would be none.
  if (policy.delayMs === 0) return 0
  const full = Math.min(policy.delayMs * policy.factor ** (attempt - 1), policy.maxDelayMs)
  return Math.round(full * (1 - policy.jitter * random))
}
