import type { IncomingHttpHeaders } from 'undici/types/header.js'
import type { Json } from '../../src/task/json.ts'
import type { RawAnswer } from './exchange.ts'
import { parseJson } from './json-body.ts'
import { decodeText } from './text.ts'

/** The answer: the output of the worker. */
export interface Answer {
  status_code: number
  headers: { [name: string]: string | string[] | undefined }
  cookies: { [name: string]: string }
  encoding: string
  text: string
  json: Json | undefined
}

/** The lines of a header as one. */
export function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

/** What is told of an answer, its body decompressed. */
export function toAnswer(
  { status, headers }: RawAnswer,
  body: Buffer,
  cookies: Answer['cookies'],
): Answer {
  const contentType = joined(headers['content-type'])
  const { encoding, text } = decodeText(body, contentType)
  return {
    status_code: status,
    headers: toOutput(headers),
    cookies,
    encoding,
    text,
    json: parseJson(text, contentType),
  }
}

/**
 * Repeated headers are joined, but for those of cookies, which hold commas themselves. The headers are
 * nobody else's, and are changed in their place.
 */
function toOutput(headers: IncomingHttpHeaders): Answer['headers'] {
  const output: { [name: string]: string | string[] | undefined } = headers
  for (const name in output) {
    const value = output[name]
    if (name === 'set-cookie') output[name] = typeof value === 'string' ? [value] : value
    else if (typeof value !== 'string') output[name] = joined(value)
  }
  return output
}
