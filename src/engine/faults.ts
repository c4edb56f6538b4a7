import type { ErrorObject } from 'ajv'
import type { Fault } from '../task/errors.ts'

/** Validator errors in the words of a problem document. */
export function toFaults(errors: readonly ErrorObject[] | null | undefined): Fault[] {
  return (errors ?? []).slice(0, 20).map(({ instancePath, keyword, params, message }) => {
    if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') {
      const name = String(params.additionalProperty ?? params.unevaluatedProperty)
      return { path: `${instancePath}/${toPointer(name)}`, message: 'is not known here' }
    }
    if (keyword === 'required') {
      return {
        path: `${instancePath}/${toPointer(String(params.missingProperty))}`,
        message: 'is required',
      }
    }
    if (keyword === 'enum') {
      return {
        path: instancePath,
        message: `must be one of ${JSON.stringify(params.allowedValues).slice(0, 500)}`,
      }
    }
    return { path: instancePath, message: message ?? `fails ${keyword}` }
  })
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
