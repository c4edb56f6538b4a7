const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const DURATION = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d)?$/

/** Milliseconds from `1500`, `1500ms`, `90s`, `5m`, `24h` or `7d`; undefined where it is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  if (match === null) return undefined
  return Math.round(Number(match[1]) * UNITS[(match[2] ?? 'ms') as keyof typeof UNITS])
}
