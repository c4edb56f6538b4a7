import { constants, open } from 'node:fs/promises'
import { join } from 'node:path'
import { TaskError } from '../task/worker.ts'
import { isSecretName } from './secret-refs.ts'

/** Of a file, more than this is no secret, in bytes. */
const MAX_SIZE = 1_048_576
const VARIABLE = 'ERRAND_SECRET_'

/** Where the secrets are that inputs refer to by name. */
export class Secrets {
  readonly #folder: string | undefined
  readonly #environment: { readonly [variable: string]: string | undefined }

  /** @param folder of files that are named after secrets, as Docker and Kubernetes mount them */
  constructor(
    folder: string | undefined,
    environment: { readonly [variable: string]: string | undefined } = process.env,
  ) {
    this.#folder = folder
    this.#environment = environment
  }

  /**
   * The secret of that name: the variable `ERRAND_SECRET_NAME`, or the file of that name without the newline
   * at its end. Read anew each time, so that one that was changed counts from the next task on.
   *
   * @throws {@link TaskError} `unknown-secret`
   */
  async read(name: string): Promise<string> {
    if (!isSecretName(name)) {
      const shown = JSON.stringify(name.slice(0, 64))
      throw new TaskError('unknown-secret', `${shown} is no name of a secret.`, {
        retryable: false,
      })
    }
    const inEnvironment = this.#environment[`${VARIABLE}${name}`]
    if (inEnvironment !== undefined) return inEnvironment
    const inFile = await this.#readFile(name)
    if (inFile !== undefined) return inFile
    const file =
      this.#folder === undefined
        ? 'name a folder in ERRAND_SECRETS_DIR'
        : 'put a file of that name into ERRAND_SECRETS_DIR'
    throw new TaskError(
      'unknown-secret',
      `There is no secret ${name}: set ${VARIABLE}${name}, or ${file}.`,
      { retryable: false },
    )
  }

  async #readFile(name: string): Promise<string | undefined> {
    if (this.#folder === undefined) return undefined
    try {
      // Without waiting for the other end of a pipe, which would hold one of the few threads for files.
      await using file = await open(
        join(this.#folder, name),
        constants.O_RDONLY | constants.O_NONBLOCK,
      )
      if (!(await file.stat()).isFile()) throw unreadable(name, 'it is no file')
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_SIZE + 1), 0, MAX_SIZE + 1, 0)
      if (bytesRead > MAX_SIZE) throw unreadable(name, `it is larger than ${MAX_SIZE} bytes`)
      return buffer.toString('utf8', 0, bytesRead).replace(/\r?\n$/, '')
    } catch (error) {
      if (error instanceof TaskError) throw error
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw unreadable(name, String(code), error)
    }
  }
}

function unreadable(name: string, why: string, cause?: unknown): TaskError {
  return new TaskError(
    'unreadable-secret',
    `The file of the secret ${name} cannot be read: ${why}.`,
    {
      cause,
    },
  )
}
