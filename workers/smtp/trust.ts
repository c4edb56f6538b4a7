import { X509Certificate } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { TaskError } from '../../src/task/worker.ts'

/** To read all of the usual authorities takes longer than to send a mail, and most tasks name the same. */
let latest: { cacert: string; context: SecureContext } | undefined

/**
 * Who is trusted: the usual authorities, and a certificate beside them.
 *
 * @throws {@link TaskError} `invalid-cacert`
 */
export function trustIn(cacert: string | undefined): SecureContext | undefined {
  if (cacert === undefined) return undefined
  if (latest?.cacert !== cacert) {
    checkPem(cacert)
    const ca = [...getCACertificates('default'), cacert]
    latest = { cacert, context: createSecureContext({ ca }) }
  }
  return latest.context
}

/** OpenSSL passes over what it cannot read, and the fault would look like the server's. */
function checkPem(cacert: string): void {
  try {
    new X509Certificate(cacert)
  } catch (cause) {
    throw new TaskError(
      'invalid-cacert',
      'Nothing was sent: cacert is no certificate in PEM. It begins with -----BEGIN CERTIFICATE-----.',
      { retryable: false, cause },
    )
  }
}
