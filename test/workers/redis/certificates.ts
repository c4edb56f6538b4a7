import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { program } from '../../program.ts'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export interface Certificates {
  /** PEM of an authority, and of what it has signed: for localhost and 127.0.0.1. */
  ca: string
  cert: string
  key: string
  /** The same, as the settings of a server. */
  settings: readonly string[]
}

/** Certificates for a day, of an authority that nobody knows; removed with the test. */
export function makeCertificates(t: Test): Certificates | undefined {
  const openssl = program(t, { names: ['openssl'], debian: 'openssl', untested: 'redis with TLS' })
  if (openssl === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'errand-redis-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const at = (name: string) => join(folder, name)
  const run = (...args: string[]) => execFileSync(openssl, args, { cwd: folder, stdio: 'ignore' })
  const authority = ['-x509', '-days', '1', '-subj', '/CN=Test authority', '-keyout', 'ca.key']
  run('req', ...authority, ...KEY, '-out', 'ca.crt')
  run('req', ...KEY, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr')
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1']
  run('x509', '-req', '-in', 'server.csr', ...signer, '-extfile', 'names', '-out', 'server.crt')
  const read = (name: string) => readFileSync(at(name), 'utf8')
  return {
    ca: read('ca.crt'),
    cert: read('server.crt'),
    key: read('server.key'),
    settings: [
      ...['--tls-cert-file', at('server.crt')],
      ...['--tls-key-file', at('server.key')],
      ...['--tls-ca-cert-file', at('ca.crt')],
    ],
  }
}
