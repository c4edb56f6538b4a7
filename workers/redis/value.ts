import { isUtf8 } from 'node:buffer'
import type { Json } from '../../src/task/json.ts'
import { TaskError } from '../../src/task/worker.ts'
import type { Base64 } from './schema.ts'

/** What goes over the wire for an argument of the input. */
export function toArgument(value: string | number | Base64): string | Buffer {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'object') return Buffer.from(value.$base64, 'base64')
  if (value.isWellFormed()) return value
  throw new TaskError(
    'invalid-argument',
    'An argument is no text that UTF-8 can hold: it has half a surrogate pair. Give its bytes as {"$base64": "…"}.',
    { retryable: false },
  )
}

/**
 * A reply as JSON. The client gives strings as buffers, and integers as strings, so that none is lost by
 * being read as what it is not.
 */
export function toJson(reply: unknown): Json {
  if (reply === null || reply === undefined) return null
  if (Buffer.isBuffer(reply)) return fromBytes(reply)
  if (typeof reply === 'string') return fromInteger(reply)
  if (Array.isArray(reply)) return reply.map(toJson)
  if (reply instanceof Error) return { $error: reply.message }
  throw new TypeError(`no reply of RESP2: ${typeof reply}`)
}

function fromBytes(bytes: Buffer): Json {
  return isUtf8(bytes) ? bytes.toString('utf8') : { $base64: bytes.toString('base64') }
}

function fromInteger(text: string): Json {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : text
}
