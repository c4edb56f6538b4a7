import { createHash, createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** A request as its signature covers it. */
export interface SignedRequest {
  method: string
  /** As it was sent: still encoded. */
  path: string
  query: string
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface Scope {
  accessKeyId: string
  date: string
  region: string
  service: string
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/
/** The clocks of caller and service may differ by that much. */
const MAX_SKEW_MS = 5 * 60_000

/** Who signed a request, and for what; undefined where nobody did. */
export function scopeOf(headers: IncomingHttpHeaders): Scope | undefined {
  const [, accessKeyId, date, region, service] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (accessKeyId === undefined || date === undefined) return undefined
  if (region === undefined || service === undefined) return undefined
  return { accessKeyId, date, region, service }
}

/**
 * Why a request is not signed as Signature Version 4 of AWS says, with that secret; undefined where it is.
 * Written from the published algorithm, and not from the SDK that is tested with it.
 */
export function signatureFault(request: SignedRequest, secret: string): string | undefined {
  const { headers } = request
  const [, , , , , signedHeaders = '', signature] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  const scope = scopeOf(headers)
  if (scope === undefined || signature === undefined) return 'it has no Authorization'
  const time = String(headers['x-amz-date'])
  if (!time.startsWith(scope.date)) return 'X-Amz-Date is of another day'
  if (Math.abs(Date.now() - timeOf(time)) > MAX_SKEW_MS) return 'X-Amz-Date is too far off'
  const names = signedHeaders.split(';')
  for (const name of mustBeSigned(headers)) {
    if (!names.includes(name)) return `${name} is not signed`
  }
  const declared = headers['x-amz-content-sha256'] ?? sha256(request.body)
  if (declared !== sha256(request.body)) return 'X-Amz-Content-Sha256 is of another body'
  const canonical = [
    request.method,
    canonicalPath(request.path, scope.service),
    canonicalQuery(request.query),
    ...names.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    signedHeaders,
    sha256(request.body),
  ].join('\n')
  const { date, region, service } = scope
  const credentialScope = `${date}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, credentialScope, sha256(canonical)].join('\n')
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`)
  const expected = hmac(key, toSign).toString('hex')
  return expected === signature ? undefined : `the signature is another one\n${canonical}`
}

function mustBeSigned(headers: IncomingHttpHeaders): string[] {
  return Object.keys(headers).filter((name) => name === 'host' || name.startsWith('x-amz-'))
}

/** All but S3 encode the path a second time. */
function canonicalPath(path: string, service: string): string {
  if (service === 's3') return path
  return path.split('/').map(encode).join('/')
}

function canonicalQuery(query: string): string {
  if (query === '') return ''
  return query
    .split('&')
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .sort()
    .join('&')
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function timeOf(time: string): number {
  return Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}
