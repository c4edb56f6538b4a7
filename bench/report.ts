/** Prints one figure, and whether it is within what was asked of it. */
export function report(what: string, measured: string, holds?: boolean, asked?: string): void {
  const verdict = holds === undefined ? '' : holds ? `  ok (${asked})` : `  MISSED (${asked})`
  process.stdout.write(`${what.padEnd(42)} ${measured}${verdict}\n`)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
