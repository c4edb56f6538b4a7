/** A value that JSON can hold (RFC 8259). */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }

/** Deeper values are refused: `JSON.stringify` and schema validators recurse, and would exhaust the stack. */
export const MAX_DEPTH = 128

/** Says why a value is not JSON, and where in it (a JSON Pointer, RFC 6901). */
export class NotJson extends Error {
  readonly path: string
  readonly tooLarge: boolean

  constructor(reason: string, path: readonly (string | number)[], tooLarge = false) {
    // A long path is that of a value nested too deep: its beginning says where.
    const shown = path.length > 16 ? [...path.slice(0, 16), '…'] : path
    const pointer = shown
      .map((key) => `/${String(key).replace(/~/g, '~0').replace(/\//g, '~1')}`)
      .join('')
    super(pointer === '' ? reason : `${reason} at ${pointer}`)
    this.path = pointer
    this.tooLarge = tooLarge
  }
}

/**
 * A copy of `value` that JSON can hold and that nobody else can change.
 *
 * It follows `JSON.stringify` where that keeps what was meant (`toJSON` is called, members that are
 * undefined are left out) and throws {@link NotJson} where that would lose it in silence: bigint, function,
 * symbol, NaN and the infinities, undefined in a list, Map, Set and other class instances, circular
 * references, and nesting past {@link MAX_DEPTH}. `undefined` itself becomes `null`.
 *
 * @param maxSize the largest result accepted, in characters of text and 8 a node, about its JSON length
 */
export function toJson(value: unknown, maxSize: number = Number.POSITIVE_INFINITY): Json {
  if (value === undefined || value === null || typeof value === 'boolean') return value ?? null
  return new Copier(maxSize).copy(value, 0)
}

class Copier {
  readonly #path: (string | number)[] = []
  #room: number

  constructor(maxSize: number) {
    this.#room = maxSize
  }

  copy(value: unknown, depth: number): Json {
    this.#room -= typeof value === 'string' ? value.length + 8 : 8
    if (this.#room < 0) throw this.#refuse('too large', true)
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value
      case 'number':
        if (!Number.isFinite(value)) throw this.#refuse(`${value} is not a JSON number`)
        return value
      case 'object':
        return value === null ? null : this.#copyObject(value, depth)
      default:
        throw this.#refuse(`${value === undefined ? 'undefined' : `a ${typeof value}`} is not JSON`)
    }
  }

  #copyObject(value: object, depth: number): Json {
    if (depth >= MAX_DEPTH)
      throw this.#refuse(`nested deeper than ${MAX_DEPTH} levels, or circular`)
    if (Array.isArray(value)) return this.#copyList(value, depth)
    if ('toJSON' in value && typeof value.toJSON === 'function') {
      return this.copy(value.toJSON(this.#path.at(-1) ?? ''), depth + 1)
    }
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null && !isPlainElsewhere(prototype)) {
      throw this.#refuse(`an instance of ${value.constructor?.name ?? 'a class'} is not JSON`)
    }
    return this.#copyMembers(value, depth)
  }

  #copyList(list: readonly unknown[], depth: number): Json {
    const copy: Json[] = []
    for (let i = 0; i < list.length; i++) {
      this.#path.push(i)
      copy.push(this.copy(list[i], depth + 1))
      this.#path.pop()
    }
    return copy
  }

  #copyMembers(value: object, depth: number): Json {
    const copy: { [key: string]: Json } = {}
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue
      this.#room -= key.length
      this.#path.push(key)
      const json = this.copy(member, depth + 1)
      this.#path.pop()
      if (key === '__proto__') {
        // Plain assignment would set the copy's prototype instead of a member of that name.
        Object.defineProperty(copy, key, {
          value: json,
          enumerable: true,
          writable: true,
          configurable: true,
        })
      } else {
        copy[key] = json
      }
    }
    return copy
  }

  #refuse(reason: string, tooLarge = false): NotJson {
    return new NotJson(reason, this.#path, tooLarge)
  }
}

/** A plain object of another realm (a worker thread, a vm context): its prototype is nobody's child. */
function isPlainElsewhere(prototype: unknown): boolean {
  return (
    typeof prototype === 'object' &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'hasOwnProperty')
  )
}
