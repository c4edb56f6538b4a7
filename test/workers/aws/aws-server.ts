import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { type SignedRequest, scopeOf, signatureFault } from './signature.ts'

export const KEY = 'AKIAIOSFODNN7EXAMPLE'
export const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'

/** A request whose signature holds. */
export interface Request extends SignedRequest {
  service: string
  region: string
  /** What is asked for: `SendMessage`, or for S3 the method and the path. */
  operation: string
}

export interface Answer {
  status?: number
  headers?: { [name: string]: string }
  body?: string | Buffer
}

/** Answers a request; undefined, and it never does. */
export type Handler = (request: Request) => Answer | undefined

export interface AwsServer {
  url: string
  /** All that were signed well, in order. */
  requests: Request[]
  /** The connections that are open. */
  sockets: Set<Socket>
}

/** A server on loopback that takes nothing but requests signed with the key, by Signature Version 4. */
export async function startAws(t: Test, handler: Handler): Promise<AwsServer> {
  const requests: Request[] = []
  const sockets = new Set<Socket>()
  const server = createServer((message, response) => {
    receive(message)
      .then((request) => {
        const fault = refusal(request)
        if (fault !== undefined) return respond(response, fault)
        requests.push(request)
        const answer = handler(request)
        if (answer !== undefined) respond(response, answer)
      })
      .catch((error) => response.destroy(error))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, requests, sockets }
}

/** An error as the protocols of JSON write it. */
export function jsonError(type: string, message: string, status = 400): Answer {
  return { status, body: JSON.stringify({ __type: `com.amazonaws#${type}`, message }) }
}

/** An error as S3 writes it. */
export function s3Error(code: string, message: string, status: number): Answer {
  const body = `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>R1</RequestId></Error>`
  return { status, headers: { 'content-type': 'application/xml' }, body }
}

/** An error as the protocol of queries writes it. */
export function queryError(code: string, message: string, status: number): Answer {
  const body = `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>R1</RequestId></ErrorResponse>`
  return { status, headers: { 'content-type': 'text/xml' }, body }
}

async function receive(message: IncomingMessage): Promise<Request> {
  const body = await buffer(message)
  const [path = '', query = ''] = (message.url ?? '').split('?')
  const { headers, method = '' } = message
  const scope = scopeOf(headers)
  const target = headers['x-amz-target']
  const operation =
    typeof target === 'string'
      ? (target.split('.').at(-1) ?? '')
      : (new URLSearchParams(body.toString('latin1')).get('Action') ?? `${method} ${path}`)
  return {
    method,
    path,
    query,
    headers,
    body,
    service: scope?.service ?? '',
    region: scope?.region ?? '',
    operation,
  }
}

/** What AWS says to a caller whom it does not know, or who signed with the wrong key. */
function refusal(request: Request): Answer | undefined {
  const wrong = signatureFault(request, SECRET)
  const isKnown = scopeOf(request.headers)?.accessKeyId === KEY
  if (isKnown && wrong === undefined) return undefined
  const message = `The request signature we calculated does not match.\n\nThe Canonical String should have been\n${wrong}`
  if (request.headers['x-amz-target'] !== undefined) {
    return isKnown
      ? jsonError('InvalidSignatureException', message)
      : jsonError('UnrecognizedClientException', 'The security token is invalid.')
  }
  if (request.service === 's3') {
    return isKnown
      ? s3Error('SignatureDoesNotMatch', message, 403)
      : s3Error('InvalidAccessKeyId', 'The key does not exist in our records.', 403)
  }
  return isKnown
    ? queryError('SignatureDoesNotMatch', message, 403)
    : queryError('InvalidClientTokenId', 'The security token is invalid.', 403)
}

function respond(response: ServerResponse, { status = 200, headers = {}, body = '' }: Answer) {
  response.writeHead(status, { 'x-amzn-requestid': 'request-1', ...headers })
  response.end(body)
}
