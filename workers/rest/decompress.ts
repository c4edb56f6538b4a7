import type { Transform } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import { TaskError } from '../../src/task/worker.ts'
import { Bytes } from './bytes.ts'
import type { Stop } from './stop.ts'

/** A body compressed more often than this was made to be a burden (CVE-2022-32206). */
const MAX_CODINGS = 5
/** What every decoder of zstd has to bear (RFC 9659). */
const ZSTD_WINDOW_LOG = 23

const DECODERS: { readonly [coding: string]: (body: Buffer) => Transform } = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  // The format of RFC 1950, or, as some servers have it, what should stand within it.
  deflate: (body) => (((body[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()),
  br: () => createBrotliDecompress(),
  zstd: () =>
    createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
}

/**
 * A body without the codings that its `content-encoding` names; as it is where one of them is not known.
 *
 * @throws {@link TaskError} `response-too-large`, `invalid-response`
 */
export async function decompress(
  body: Buffer,
  contentEncoding: string,
  stop: Stop,
): Promise<Buffer> {
  if (body.length === 0) return body
  const codings = contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  if (codings.length > MAX_CODINGS) throw invalid(`is compressed ${codings.length} times`)
  if (!codings.every((coding) => Object.hasOwn(DECODERS, coding))) return body
  let decoded = body
  for (const coding of codings.reverse()) decoded = await decode(decoded, coding, stop)
  return decoded
}

async function decode(body: Buffer, coding: string, stop: Stop): Promise<Buffer> {
  stop.check()
  const decoder = DECODERS[coding]?.(body)
  if (decoder === undefined) return body
  stop.listen({ onStop: (reason) => decoder.destroy(reason) })
  const bytes = new Bytes()
  try {
    decoder.end(body)
    for await (const piece of decoder) bytes.append(piece)
    return bytes.all()
  } catch (error) {
    if (error instanceof TaskError || error === stop.reason) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw invalid(`is not the ${coding} that its content-encoding says: ${reason}`)
  } finally {
    stop.listen(undefined)
  }
}

function invalid(fault: string): TaskError {
  return new TaskError('invalid-response', `The body of the answer ${fault}.`)
}
