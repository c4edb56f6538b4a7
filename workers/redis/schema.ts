import { type Static, Type } from 'typebox'

/** Bytes that are no text, in either direction. */
export interface Base64 {
  $base64: string
}

/** Past these, JSON numbers are not what was written. */
const SAFE = { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }
const PEM = { minLength: 1, maxLength: 1_048_576 }

const Argument = Type.Union([
  Type.String(),
  Type.Number(SAFE),
  Type.Object(
    {
      $base64: Type.String({
        contentEncoding: 'base64',
        pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
      }),
    },
    { additionalProperties: false },
  ),
])

const Tls = Type.Object(
  {
    ca: Type.Optional(
      Type.String({
        ...PEM,
        description: 'PEM of the authorities to trust, in the place of the usual ones',
      }),
    ),
    servername: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 253,
        pattern: '^(?![\\d.]+$)[^\\s/:]+$',
        description: 'The name that the certificate must be for; `host` unless given',
      }),
    ),
    cert: Type.Optional(
      Type.String({ ...PEM, description: 'PEM of the certificate to show to the server' }),
    ),
    key: Type.Optional(Type.String({ ...PEM, writeOnly: true, description: 'PEM of its key' })),
  },
  { additionalProperties: false },
)

export const Input = Type.Object({
  host: Type.String({
    minLength: 1,
    maxLength: 253,
    pattern: '^[^\\s/\\\\]+$',
    description: 'A name or an address; not a URL, and not the path of a socket',
  }),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, default: 6_379 })),
  command: Type.String({
    minLength: 1,
    maxLength: 128,
    pattern: '^[!-~]+$',
    description: 'The name of the command, in any case, alone: `config`, with `get` in `args`',
  }),
  args: Type.Optional(
    Type.Array(Argument, {
      default: [],
      maxItems: 100_000,
      description: 'Its arguments: strings, numbers, and bytes as `{"$base64": "…"}`',
    }),
  ),
  username: Type.Optional(
    Type.String({ minLength: 1, maxLength: 1_024, description: 'A user of the ACL (Redis 6)' }),
  ),
  password: Type.Optional(Type.String({ maxLength: 65_536, writeOnly: true })),
  db: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      default: 0,
      description: 'The number of the database',
    }),
  ),
  tls: Type.Optional(
    Type.Union([Type.Boolean(), Tls], {
      default: false,
      description: 'Whether to speak TLS; the certificate of the server is always verified',
    }),
  ),
  timeout: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 86_400_000,
      default: 10_000,
      description: 'Milliseconds from the start to the reply, connecting included',
    }),
  ),
})
export type Input = Static<typeof Input>

export const Output = Type.Object({
  result: Type.Unknown({
    description:
      'The reply as RESP2 has it: string, integer, null, or list of these. Bytes that are no text are `{"$base64": "…"}`, integers that JSON numbers cannot hold are strings, an error within a list is `{"$error": "…"}`',
  }),
})
