import { closest, distance } from 'fastest-levenshtein'

/** Names that are compared; what is longer, a client may have sent to keep the server busy. */
const MAX_LENGTH = 64

/** Which of the names known is most likely meant by one that is not, where one is near enough to say so. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0 || name.length > MAX_LENGTH) return undefined
  const asked = name.toLowerCase()
  const candidates = known.map((candidate) => candidate.toLowerCase())
  const near = closest(asked, candidates)
  const index =
    distance(asked, near) <= mistakes(asked.length)
      ? candidates.indexOf(near)
      : candidates.findIndex((candidate) => asked.length >= 3 && candidate.startsWith(asked))
  return known[index]
}

/** The question after a name that is not known, with a space before it; empty where no name is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return near === undefined ? '' : ` (did you mean ${near}?)`
}

/** How many letters may differ: two that changed places are two. Of a short name, half. */
function mistakes(length: number): number {
  return Math.min(Math.floor(length / 2), Math.max(2, Math.ceil(length / 3)))
}
