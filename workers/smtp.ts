import { defineWorker, TaskError } from '../src/task/worker.ts'
import { type Mail, mailSchema, receiptSchema, TLS_PORT } from './smtp/mail.ts'

export default defineWorker({
  name: 'smtp',
  details: {
    description: 'Sends a mail by an SMTP server',
    input: mailSchema,
    output: receiptSchema,
    example: {
      from: 'Errand <errand@example.com>',
      to: 'ada@example.com, Grace <grace@example.com>',
      subject: 'It is done',
      body: 'All of it.',
      login: 'errand',
      password: 'secret',
      smtp_host: 'mail.example.com',
      smtp_port: 587,
      use_tls: true,
      allow_plaintext_password: false,
      timeout: 30_000,
    },
  },
  async perform(mail, task) {
    checkPassword(mail)
    const { deliver } = await import('./smtp/delivery.ts')
    return deliver(mail, task)
  },
})

/** What is decided by the input alone is refused before anything is sent, or even looked up. */
function checkPassword({ login = '', password = '', ...mail }: Mail): void {
  if ((login === '') !== (password === '')) {
    throw new TaskError(
      'incomplete-login',
      `The ${login === '' ? 'login' : 'password'} is empty: give both, or neither where the server wants none.`,
      { retryable: false },
    )
  }
  const isEncrypted = mail.use_tls || mail.smtp_port === TLS_PORT
  if (login === '' || isEncrypted || mail.allow_plaintext_password) return
  throw new TaskError(
    'plaintext-password',
    `The password was not sent to ${mail.smtp_host}:${mail.smtp_port}, for without TLS all on the way could read it. Set use_tls, or allow_plaintext_password if you mean it.`,
    { retryable: false },
  )
}
