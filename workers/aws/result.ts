import type { NormalizedSchema } from '@smithy/core/schema'
import { isBody } from './schema.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The members of an answer as JSON, as boto3 names them: times in ISO 8601, bytes in base64, a body as text
 * where it is one, a stream of events as a list; and `ResponseMetadata`.
 */
export async function toResult(output: object, schema: NormalizedSchema): Promise<object> {
  const members = schema.isStructSchema() ? new Map(schema.structIterator()) : new Map()
  const result: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(output)) {
    if (name === '$metadata' || value === undefined) continue
    const member = members.get(name)
    const isWhole = member !== undefined && isBody(member)
    result[name] = isWhole ? toText(await collect(value)) : await toJson(value)
  }
  result.ResponseMetadata = responseMetadata(output)
  return result
}

/** What boto3 tells of an answer, or of an error, beside its members. */
export function responseMetadata(answer: object): { [name: string]: unknown } {
  const metadata = '$metadata' in answer ? Object(answer.$metadata) : {}
  const { requestId, extendedRequestId, httpStatusCode, attempts } = metadata
  return {
    ...(typeof requestId === 'string' && { RequestId: requestId }),
    ...(typeof extendedRequestId === 'string' && { HostId: extendedRequestId }),
    ...(typeof httpStatusCode === 'number' && { HTTPStatusCode: httpStatusCode }),
    RetryAttempts: typeof attempts === 'number' ? attempts - 1 : 0,
  }
}

async function toJson(value: unknown): Promise<unknown> {
  if (typeof value === 'bigint') return toNumber(value)
  // JSON has no words for NaN and the infinities; those of the API are texts.
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (value instanceof String) return value.toString()
  if (value instanceof Set) return toList(value)
  if (Array.isArray(value)) return toList(value)
  if (isAsyncIterable(value)) return await toEvents(value)
  if ('string' in value && value.constructor.name === 'NumericValue') return value.string
  return await toMembers(value)
}

async function toList(values: Iterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = []
  for (const value of values) list.push(await toJson(value))
  return list
}

async function toEvents(events: AsyncIterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = []
  for await (const event of events) list.push(await toJson(event))
  return list
}

async function toMembers(value: object): Promise<object> {
  const members: { [name: string]: unknown } = {}
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) members[name] = await toJson(member)
  }
  return members
}

function toNumber(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

/** A body that is read whole; how much there can be, the connection sees to. */
async function collect(body: unknown): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body)
  if (typeof body === 'string') return Buffer.from(body)
  if (!isAsyncIterable(body)) return Buffer.alloc(0)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) if (chunk instanceof Uint8Array) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function toText(bytes: Buffer): string | { $base64: string } {
  try {
    return utf8.decode(bytes)
  } catch {
    return { $base64: bytes.toString('base64') }
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
