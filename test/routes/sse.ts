import type { Test } from 'tap'

/** One block of an event stream. A block of comments alone has no data. */
export interface Frame {
  id?: string
  event?: string
  data?: { [member: string]: unknown }
  comment?: string
}

const MEMBERS: { readonly [field: string]: 'id' | 'event' } = { id: 'id', event: 'event' }

/** The blocks of a text in the format of the HTML standard (server-sent events, section 9.2). */
export function parseSse(text: string): Frame[] {
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map(parseBlock)
}

function parseBlock(block: string): Frame {
  const frame: Frame = {}
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    const field = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^ /, '')
    const member = MEMBERS[field]
    if (member !== undefined) frame[member] = value
    else if (field === 'data') frame.data = JSON.parse(value)
    else if (field === '') frame.comment = value
    else throw new Error(`no line of an event stream: ${JSON.stringify(line)}`)
  }
  return frame
}

/** Reads an event stream over a connection, block by block; closed when the test ends. */
export class SseReader {
  readonly response: Response
  readonly #closer: AbortController
  readonly #chunks: AsyncIterator<string>
  #text = ''

  private constructor(response: Response, closer: AbortController) {
    if (response.body === null) throw new Error(`no body, status ${response.status}`)
    this.response = response
    this.#closer = closer
    this.#chunks = response.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
  }

  /** Whatever is not read within ten seconds is an error: nothing here takes that long. */
  static async open(
    t: Test,
    url: string,
    headers: { [name: string]: string } = {},
  ): Promise<SseReader> {
    const closer = new AbortController()
    t.teardown(() => closer.abort())
    const signal = AbortSignal.any([closer.signal, AbortSignal.timeout(10_000)])
    return new SseReader(await fetch(url, { headers, signal }), closer)
  }

  /** The next block, or undefined where the stream has ended. */
  async next(): Promise<Frame | undefined> {
    let end = this.#text.indexOf('\n\n')
    while (end === -1) {
      const { done, value } = await this.#chunks.next()
      if (done === true) return undefined
      this.#text += value
      end = this.#text.indexOf('\n\n')
    }
    const block = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + 2)
    return parseBlock(block)
  }

  /** Everything until the stream ends. */
  async rest(): Promise<Frame[]> {
    const frames: Frame[] = []
    for (let frame = await this.next(); frame !== undefined; frame = await this.next())
      frames.push(frame)
    return frames
  }

  close(): void {
    this.#closer.abort()
  }
}
