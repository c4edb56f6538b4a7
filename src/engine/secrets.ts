import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { TaskError } from '../task/worker.ts'

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
    // A name has no slash in it, but the one of the folder above is no secret.
    if (this.#folder === undefined || name === '.' || name === '..') return undefined
    try {
      await using file = await open(join(this.#folder, name))
      const { size } = await file.stat()
      if (size > MAX_SIZE)
        throw new TaskError(
          'unknown-secret',
          `The file of the secret ${name} is larger than ${MAX_SIZE} bytes.`,
          { retryable: false },
        )
      return (await file.readFile('utf8')).replace(/\r?\n$/, '')
    } catch (error) {
      if (error instanceof TaskError) throw error
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw new TaskError(
        'unreadable-secret',
        `The file of the secret ${name} cannot be read: ${code}.`,
        { cause: error },
      )
    }
  }
}
