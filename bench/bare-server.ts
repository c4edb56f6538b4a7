import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerProbes } from './probe.ts'

/** The least that a JSON API can be: node:http, the body parsed, an answer of a task's size. */
const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (chunk) => {
    body += chunk
  })
  request.on('end', () => {
    const input: unknown = JSON.parse(body)
    const answer = JSON.stringify({
      id: 'V1StGXR8_Z5jdHi6B-myT',
      worker: 'noop',
      status: 'queued',
      attempt: 0,
      priority: 4,
      createdAt: new Date().toISOString(),
      isObject: typeof input === 'object',
    })
    response.writeHead(202, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(answer),
      location: '/tasks/V1StGXR8_Z5jdHi6B-myT',
    })
    response.end(answer)
  })
})
server.listen(0, '127.0.0.1', () => {
  answerProbes((server.address() as AddressInfo).port, () => server.close())
})
