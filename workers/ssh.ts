import { Type } from 'typebox'
import { defineWorker } from '../src/task/worker.ts'

export default defineWorker({
  name: 'ssh',
  details: {
    description:
      'Runs a bash script on a host over SSH. The host must show the key that is expected of it.',
    input: Type.Object({
      hostname: Type.String({ minLength: 1, maxLength: 255, description: 'A name or an address' }),
      hostkey: Type.String({
        minLength: 1,
        maxLength: 65_536,
        description:
          'The public keys that the host may show, one a line: what ssh-keyscan prints, a line of known_hosts, a public key, its base64 alone, or SHA256:… of it',
      }),
      port: Type.Integer({ minimum: 1, maximum: 65_535, default: 22 }),
      login: Type.String({ minLength: 1, maxLength: 255, description: 'Who to log in as' }),
      password: Type.Optional(
        Type.String({ maxLength: 1_024, writeOnly: true, description: 'Of the login' }),
      ),
      key: Type.Optional(
        Type.String({
          maxLength: 65_536,
          writeOnly: true,
          description: 'A private key of the login, in the format of OpenSSH or PEM',
        }),
      ),
      passphrase: Type.Optional(
        Type.String({ maxLength: 1_024, writeOnly: true, description: 'Of the private key' }),
      ),
      script: Type.String({ minLength: 1, maxLength: 1_048_576, description: 'Run by bash' }),
      'bash-debug-mode': Type.Boolean({
        default: true,
        description: 'Whether bash shows each command before it runs it (bash -x)',
      }),
      connect_timeout: Type.Integer({
        minimum: 1,
        maximum: 600_000,
        default: 10_000,
        description: 'Milliseconds until the login must be done',
      }),
      timeout: Type.Integer({
        minimum: 1,
        maximum: 86_400_000,
        default: 600_000,
        description: 'Milliseconds that all of it may take',
      }),
    }),
    output: Type.Object({
      retcode: Type.Integer({ description: 'What the script exited with; any but 0 is a failure' }),
      report: Type.String({
        description: 'What the script wrote to stdout and stderr, in its order',
      }),
    }),
    example: {
      hostname: 'web-1.example.com',
      hostkey:
        'web-1.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB60N4tCRJIRa+QMMiHJUiSyAoaEsKSUaCaLxlQ/V0ba',
      port: 22,
      login: 'deploy',
      password: 'correct horse battery staple',
      script: 'uptime',
      'bash-debug-mode': false,
      connect_timeout: 10_000,
      timeout: 600_000,
    },
  },
  // An sshd of default settings drops some of what connects while ten others are logging in (MaxStartups).
  maxNumTasks: 10,
  async perform(input, task) {
    const { runScript } = await import('./ssh/run-script.ts')
    return runScript(input, task)
  },
})
