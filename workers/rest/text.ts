/** The charset that a content-type names (RFC 9110, 8.3.2). */
const CHARSET = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))/i
const UTF_8 = 'utf-8'
const IS_UTF_8 = /^utf-?8$/i

/** A body as text, and the charset it was read by, lower-case, as the Encoding standard names it. */
export interface DecodedText {
  encoding: string
  text: string
}

/** Reads a body by its byte order mark, else by the charset of its content-type, else as UTF-8. */
export function decodeText(body: Buffer, contentType: string | undefined): DecodedText {
  const mark = markOf(body)
  const label = mark ?? charsetOf(contentType) ?? UTF_8
  // Buffer is several times as fast as TextDecoder, and most bodies are these.
  if (IS_UTF_8.test(label)) {
    return { encoding: UTF_8, text: body.toString('utf8', mark === UTF_8 ? 3 : 0) }
  }
  const decoder = decoderOf(label)
  return { encoding: decoder.encoding, text: decoder.decode(body) }
}

function charsetOf(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return undefined
  const found = CHARSET.exec(contentType)
  return found?.[1] ?? found?.[2]
}

function markOf(body: Buffer): string | undefined {
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) return UTF_8
  if (body[0] === 0xfe && body[1] === 0xff) return 'utf-16be'
  if (body[0] === 0xff && body[1] === 0xfe) return 'utf-16le'
  return undefined
}

function decoderOf(label: string): TextDecoder {
  try {
    return new TextDecoder(label)
  } catch {
    return new TextDecoder()
  }
}
