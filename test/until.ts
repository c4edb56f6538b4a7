import { setTimeout as sleep } from 'node:timers/promises'

const ASK_AGAIN_MS = 10

/**
 * Resolves with the first answer that holds (is neither undefined nor false), asking again and again.
 *
 * @param what is waited for, in the words of the error
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  withinMs = 15_000,
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + withinMs
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs} ms`)
    await sleep(ASK_AGAIN_MS)
  }
}
