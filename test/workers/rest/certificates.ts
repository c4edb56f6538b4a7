import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { program } from '../../program.ts'

/** A private key and a certificate, in PEM form. */
export interface Identity {
  key: string
  cert: string
}

/** A certificate for 127.0.0.1 that is signed by its own key; undefined where openssl cannot be had. */
export function selfSigned(t: Test): Identity | undefined {
  const openssl = program(t, {
    names: ['openssl'],
    debian: 'openssl',
    untested: 'certificates of HTTPS services',
  })
  if (openssl === undefined) return undefined
  const folder = t.testdir({})
  const key = join(folder, 'key.pem')
  const cert = join(folder, 'cert.pem')
  execFileSync(
    openssl,
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-subj', '/CN=errand test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'],
      ...['-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  )
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}
