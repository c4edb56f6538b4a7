import type { ErrorObject } from 'ajv'
import type { Fault } from '../task/errors.ts'
import { didYouMean, nearest } from '../task/nearest.ts'

/** A check that found something wrong. It must be verbose: its errors hold the schema and the value. */
interface FailedCheck {
  errors?: readonly ErrorObject[] | null
}

/** Members of a value that are looked through for a misspelt one: a client may send as many as it likes. */
const MAX_MEMBERS = 100

/** What a check found wrong, in the words of a problem document. */
export function toFaults(check: FailedCheck): Fault[] {
  const faults = (check.errors ?? []).slice(0, 20).flatMap(faultsOf)
  // They hold the value, which may be large, until the next check.
  check.errors = null
  return faults
}

function faultsOf(error: ErrorObject): Fault[] {
  const { instancePath, keyword, params, message, data } = error
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') {
    const name = String(params.additionalProperty ?? params.unevaluatedProperty)
    return [unknownMember(instancePath, name, propertiesOf(error))]
  }
  if (keyword === 'required') {
    const missing = String(params.missingProperty)
    const misspelt = misspeltIn(error, missing)
    return [
      ...(misspelt === undefined ? [] : [unknownMember(instancePath, misspelt, [missing])]),
      { path: `${instancePath}/${toPointer(missing)}`, message: 'is required' },
    ]
  }
  if (keyword === 'enum') {
    const { allowedValues } = params
    const hint = typeof data === 'string' ? didYouMean(data, allowedValues.filter(isString)) : ''
    const allowed = JSON.stringify(allowedValues).slice(0, 500)
    return [{ path: instancePath, message: `must be one of ${allowed}${hint}` }]
  }
  if (keyword === 'type') {
    const types: string[] = [params.type].flat()
    return [{ path: instancePath, message: `must be ${types.join(' or ')}` }]
  }
  return [{ path: instancePath, message: message ?? `fails ${keyword}` }]
}

function unknownMember(path: string, name: string, known: readonly string[]): Fault {
  return {
    path: `${path}/${toPointer(name)}`,
    message: `is not known here${didYouMean(name, known)}`,
  }
}

/** The members that the schema of an error lists. */
function propertiesOf({ parentSchema }: ErrorObject): string[] {
  return Object.keys(parentSchema?.properties ?? {})
}

/** The member, known to none, that somebody wrote for one that is missing. */
function misspeltIn(error: ErrorObject, missing: string): string | undefined {
  const { data, parentSchema } = error
  const isClosed = parentSchema?.additionalProperties === false
  if (!isClosed || typeof data !== 'object' || data === null) return undefined
  const known = propertiesOf(error)
  return Object.keys(data)
    .slice(0, MAX_MEMBERS)
    .find((name) => !known.includes(name) && nearest(name, [missing]) !== undefined)
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

/** A member's name in a JSON Pointer (RFC 6901). What a client sent is not sent back at any length. */
export function toPointer(name: string): string {
  const shown = name.length > 100 ? `${name.slice(0, 99)}…` : name
  return shown.replace(/~/g, '~0').replace(/\//g, '~1')
}

/** The faults in one line. */
export function describe(faults: readonly Fault[]): string {
  return faults.map(({ path, message }) => `${path === '' ? 'it' : path} ${message}`).join('; ')
}
