import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerProbes } from './probe.ts'

/** A service that is called: it answers at once, a text of a kilobyte. */
const text = 'The quick brown fox jumps over the lazy dog. '.repeat(23)
const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': text.length }
const server = createServer((request, response) => {
  request.resume()
  response.writeHead(200, headers)
  response.end(text)
})
server.listen(0, '127.0.0.1', () => {
  answerProbes((server.address() as AddressInfo).port, () => {
    server.close()
    server.closeAllConnections()
  })
})
