import { setTimeout as sleep } from 'node:timers/promises'

const ASK_AGAIN_MS = 5

/**
 * Resolves with the first answer that holds (is neither undefined nor false), asking again and again; rejects
 * where none does in time, with the text of what was asked.
 */
export async function until<T>(
  ask: () => T | Promise<T>,
  withinMs = 15_000,
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + withinMs
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${ask}`)
    await sleep(ASK_AGAIN_MS)
  }
}
