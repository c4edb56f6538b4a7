import { parseDuration } from '../task/duration.ts'
import type { ErrandError } from '../task/errors.ts'
import { didYouMean } from '../task/nearest.ts'
import type { CommandsFile, Path } from './file.ts'

export type Values = { readonly [key: string]: unknown }

/** The members of one map of a file, read by what they must be; all reading throws `invalid-worker`. */
export class Members {
  readonly file: CommandsFile
  readonly path: Path
  readonly #values: Values

  constructor(file: CommandsFile, path: Path, values: unknown, what: string) {
    if (!isMap(values)) throw file.fault(path, `must be ${what}`)
    this.file = file
    this.path = path
    this.#values = values
  }

  get names(): string[] {
    return Object.keys(this.#values)
  }

  /** Refuses a member that is none of these. */
  allow(known: readonly string[]): void {
    for (const name of this.names) {
      if (known.includes(name)) continue
      const fault = `is not known${didYouMean(name, known)}: ${known.join(', ')} are`
      throw this.file.fault([...this.path, name], fault, 'key')
    }
  }

  get(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined
  }

  fault(name: string, fault: string, ...further: Path): ErrandError {
    return this.file.fault([...this.path, name, ...further], fault)
  }

  text(name: string, what: string): string {
    const value = this.get(name)
    if (value === undefined) throw this.file.fault(this.path, `needs ${name}: ${what}`, 'key')
    return this.asText(value, what, name)
  }

  /** A value of YAML that must be a string: what looks like a number has lost how it was written. */
  asText(value: unknown, what: string, name: string, ...further: Path): string {
    if (typeof value === 'string') return value
    const isBare = typeof value === 'number' || typeof value === 'boolean' || value === null
    const hint = isBare
      ? `, not ${value}: put it in quotes`
      : isMap(value)
        ? ': put {{…}} in quotes'
        : ''
    throw this.fault(name, `must be ${what}${hint}`, ...further)
  }

  list(name: string, what: string): readonly unknown[] | undefined {
    const value = this.get(name)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) throw this.fault(name, `must be ${what}`)
    return value
  }

  flag(name: string): boolean {
    const value = this.get(name) ?? false
    if (typeof value !== 'boolean') throw this.fault(name, 'must be true or false')
    return value
  }

  whole(name: string, min: number, max: number): number | undefined {
    const value = this.get(name)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw this.fault(name, `must be a whole number from ${min} to ${max}`)
    }
    return value
  }

  duration(name: string, maxMs: number, longest: string): number | undefined {
    const value = this.get(name)
    if (value === undefined) return undefined
    const ms =
      typeof value === 'string' || typeof value === 'number'
        ? parseDuration(String(value))
        : undefined
    if (ms === undefined || ms > maxMs) {
      throw this.fault(name, `must be a duration of at most ${longest}, such as 500ms, 30s or 5m`)
    }
    return ms
  }

  oneOf<const T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.get(name)
    if (value === undefined) return undefined
    const choice = choices.find((known) => known === value)
    if (choice === undefined) throw this.fault(name, `must be one of ${choices.join(', ')}`)
    return choice
  }
}

export function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
