import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { domainToASCII } from 'node:url'
import MailComposer from 'nodemailer/lib/mail-composer'
import { detectMimeType } from 'nodemailer/lib/mime-funcs'
import { TaskError } from '../../src/task/worker.ts'
import { recipientsOf, senderOf } from './addresses.ts'
import { type Attachment, MAX_MESSAGE_BYTES, type Mail } from './mail.ts'

/** What is longer is written piece by piece, so that the server answers others in between. */
const CHUNK_BYTES = 65_536
/** Types of which MIME allows no base64, so that not every byte would arrive. */
const COMPOSED = /^(?:message|multipart)\//i

/** A mail as it goes over the wire. */
export interface Message {
  /** With its angle brackets. */
  id: string
  sender: string
  recipients: string[]
  content: Buffer
}

/**
 * Writes a mail as MIME. Its id stands for the task: whoever gets it twice, because an attempt was repeated,
 * can tell.
 *
 * @throws {@link TaskError} `invalid-address`, `invalid-attachment`, `message-too-large`
 */
export async function compose(mail: Mail, taskId: string, signal: AbortSignal): Promise<Message> {
  checkSize(leastSize(mail))
  const sender = senderOf(mail.from)
  const domain = sender.address.slice(sender.address.lastIndexOf('@') + 1)
  const id = `<${taskId}@${domainToASCII(domain) || domain}>`
  const node = new MailComposer({
    from: sender,
    to: recipientsOf(mail.to, 'to'),
    cc: recipientsOf(mail.cc, 'cc'),
    bcc: recipientsOf(mail.bcc, 'bcc'),
    subject: mail.subject,
    text: toText(mail.body),
    ...(mail.html !== undefined && { html: toText(mail.html) }),
    attachments: (mail.attachments ?? []).map(toPart),
    messageId: id,
    date: new Date(),
    newline: '\r\n',
    // The message is made of what the task holds, and of nothing that it names.
    disableFileAccess: true,
    disableUrlAccess: true,
  }).compile()
  const { from, to } = node.getEnvelope()
  const content = await collect(node.createReadStream(), signal)
  return { id, sender: from || sender.address, recipients: to, content }
}

/** A short text goes in the encoding in which it stays readable. */
function toText(text: string) {
  const bytes = Buffer.from(text)
  if (bytes.length <= CHUNK_BYTES) return text
  return { content: inPieces(bytes), contentTransferEncoding: 'base64' }
}

function toPart({ filename, content, content_type }: Attachment, index: number) {
  const type = content_type ?? detectMimeType(filename)
  return {
    filename,
    content: inPieces(decode(content, index)),
    contentType: COMPOSED.test(type) ? 'application/octet-stream' : type,
    contentDisposition: 'attachment',
  }
}

function inPieces(bytes: Buffer): Readable {
  return Readable.from(pieces(bytes), { objectMode: false })
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
    yield bytes.subarray(from, from + CHUNK_BYTES)
    await nextTurn()
  }
}

/** Node leaves out what is no base64, and a file would arrive that is not the one that was sent. */
function decode(content: string, index: number): Buffer {
  const bytes = decodeWhole(content) ?? decodeWhole(content.replace(/\s+/g, ''))
  if (bytes !== undefined) return bytes
  throw new TaskError(
    'invalid-attachment',
    `Nothing was sent: attachments/${index}/content is no base64, or not all of it is there.`,
    { retryable: false },
  )
}

function decodeWhole(text: string): Buffer | undefined {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : undefined
}

async function collect(stream: AsyncIterable<Buffer>, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    signal.throwIfAborted()
    bytes += chunk.length
    checkSize(bytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

/** What a message takes at the least, known before it is written. */
function leastSize({ body, html = '', attachments = [] }: Mail): number {
  const texts = Buffer.byteLength(body) + Buffer.byteLength(html)
  return attachments.reduce((size, { content }) => size + content.length, texts)
}

function checkSize(bytes: number): void {
  if (bytes <= MAX_MESSAGE_BYTES) return
  throw new TaskError(
    'message-too-large',
    `Nothing was sent: the message is larger than ${MAX_MESSAGE_BYTES / 1_048_576} MiB, which is the most that this worker sends. Base64 makes attachments larger by a third.`,
    { retryable: false },
  )
}
