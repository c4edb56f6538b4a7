/** An entity of a message: its headers unfolded, by their names in lower case. */
export interface Part {
  headers: { [name: string]: string }
  /** Decoded. */
  content: Buffer
  parts: Part[]
}

/** Reads a message, as far as these tests need it. */
export function readMime(raw: Buffer): Part {
  const text = raw.toString('latin1')
  const end = text.indexOf('\r\n\r\n')
  const headers: Part['headers'] = {}
  for (const line of text
    .slice(0, end)
    .replace(/\r\n[ \t]/g, ' ')
    .split('\r\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (name in headers) throw new Error(`the header ${name} comes twice`)
    headers[name] = line.slice(colon + 1).trim()
  }
  const body = text.slice(end + 4)
  const boundary = /boundary="?([^";]+)/.exec(headers['content-type'] ?? '')?.[1]
  if (boundary === undefined)
    return { headers, content: decode(body, headers['content-transfer-encoding']), parts: [] }
  const parts = body
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => readMime(Buffer.from(part.slice(2, -2), 'latin1')))
  return { headers, content: Buffer.alloc(0), parts }
}

/** The leaves of a message, in order. */
export function leaves(part: Part): Part[] {
  return part.parts.length === 0 ? [part] : part.parts.flatMap(leaves)
}

/** A header with encoded words in it (RFC 2047), as a reader sees it. */
export function readable(header = ''): string {
  return header
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([qb])\?(.*?)\?=/gi, (_all, how: string, word: string) =>
      how.toLowerCase() === 'b'
        ? Buffer.from(word, 'base64').toString('latin1')
        : unquote(word.replaceAll('_', ' ')),
    )
    .replace(/[\x80-\xff]+/g, (bytes) => Buffer.from(bytes, 'latin1').toString())
}

function decode(body: string, encoding = '7bit'): Buffer {
  if (encoding === 'base64') return Buffer.from(body, 'base64')
  const plain = encoding === 'quoted-printable' ? unquote(body.replace(/=\r\n/g, '')) : body
  return Buffer.from(plain, 'latin1')
}

function unquote(text: string): string {
  return text.replace(/=([0-9A-F]{2})/g, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
