import { type Static, Type } from 'typebox'

/** The largest message that is sent, headers and encoding included, in bytes. */
export const MAX_MESSAGE_BYTES = 26_214_400
/** On this port a server expects TLS at once (RFC 8314). */
export const TLS_PORT = 465

/** A line break in a header would begin a header of somebody else's choice. */
const ONE_LINE = '^[^\\u0000-\\u001f\\u007f]*$'
const MEDIA_TYPE = '^[\\w.+-]+/[\\w.+-]+(?:;\\s?[\\w-]+=(?:[\\w.+-]+|"[^"\\\\\\u0000-\\u001f]*"))*$'

/** One schema of both types: of a fault in an `anyOf` nobody can tell which alternative was meant. */
const recipients = (description: string) =>
  Type.Unsafe<string | string[]>({
    type: ['string', 'array'],
    minLength: 1,
    maxLength: 65_536,
    pattern: ONE_LINE,
    items: { type: 'string', minLength: 1, maxLength: 1_024, pattern: ONE_LINE },
    minItems: 1,
    maxItems: 1_000,
    description,
  })

export const mailSchema = Type.Object(
  {
    from: Type.String({
      minLength: 1,
      maxLength: 1_024,
      pattern: ONE_LINE,
      description: 'The sender: an address, or a name with one, as in Ada <ada@example.com>',
    }),
    to: recipients('Addresses, as a list or separated by commas'),
    subject: Type.String({ maxLength: 2_000, pattern: ONE_LINE }),
    body: Type.String({ maxLength: MAX_MESSAGE_BYTES, description: 'Plain text' }),
    login: Type.Optional(
      Type.String({
        maxLength: 512,
        pattern: ONE_LINE,
        description: 'Left out together with the password where the server wants none',
      }),
    ),
    password: Type.Optional(Type.String({ maxLength: 4_096, writeOnly: true })),
    smtp_host: Type.String({ minLength: 1, maxLength: 255, description: 'A name or an address' }),
    smtp_port: Type.Integer({ minimum: 1, maximum: 65_535, default: 25 }),
    use_tls: Type.Boolean({
      default: true,
      description:
        'STARTTLS, without which nothing is sent; on port 465 TLS from the start, whatever is said here',
    }),
    html: Type.Optional(
      Type.String({ maxLength: MAX_MESSAGE_BYTES, description: 'The same as the body, in HTML' }),
    ),
    cc: Type.Optional(recipients('Who else gets it')),
    bcc: Type.Optional(recipients('Who gets it without being shown')),
    attachments: Type.Optional(
      Type.Array(
        Type.Object(
          {
            filename: Type.String({ minLength: 1, maxLength: 255, pattern: ONE_LINE }),
            content: Type.String({
              maxLength: 36_000_000,
              contentEncoding: 'base64',
              description: 'In base64',
            }),
            content_type: Type.Optional(
              Type.String({
                maxLength: 255,
                pattern: MEDIA_TYPE,
                description: 'By the file name unless told',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        { maxItems: 100 },
      ),
    ),
    allow_plaintext_password: Type.Boolean({
      default: false,
      description: 'Send the password without TLS, for all on the way to read',
    }),
    timeout: Type.Integer({
      minimum: 1,
      maximum: 3_600_000,
      default: 30_000,
      description: 'Milliseconds that all of it may take',
    }),
    cacert: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 262_144,
        description: 'Certificates in PEM, trusted beside the usual authorities',
      }),
    ),
  },
  { dependentRequired: { login: ['password'], password: ['login'] } },
)

export type Mail = Static<typeof mailSchema>
export type Attachment = NonNullable<Mail['attachments']>[number]

export const receiptSchema = Type.Object({
  message_id: Type.String({ description: 'As in the Message-ID header' }),
  accepted: Type.Array(Type.String(), { description: 'The recipients that the server took' }),
  rejected: Type.Array(
    Type.Object({
      address: Type.String(),
      code: Type.Integer({ description: "The server's reply code; 0 where it gave none" }),
      message: Type.String({ description: "The server's words" }),
    }),
    { description: 'The recipients that it refused' },
  ),
})

export type Receipt = Static<typeof receiptSchema>
