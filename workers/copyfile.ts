import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import {
  constants,
  type FileHandle,
  lstat,
  open,
  readlink,
  realpath,
  rename,
  unlink,
} from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { Type } from 'typebox'
import { defineWorker, type TaskContext, TaskError } from '../src/task/worker.ts'

const CHUNK_BYTES = 1_048_576

export default defineWorker({
  name: 'copyfile',
  details: {
    description:
      'CopyFile will copy a file on the server. You must specify the Source and Destination',
    input: Type.Object({
      source: Type.String({ minLength: 1, maxLength: 4_096, description: 'A regular file' }),
      destination: Type.String({
        minLength: 1,
        maxLength: 4_096,
        description: 'A regular file, which is replaced, or a new name in a folder that exists',
      }),
    }),
    output: Type.Object({
      bytes: Type.Integer({ description: 'Copied; 0 where both are the same file' }),
    }),
    example: { source: 'README.md', destination: 'README.copy.md' },
  },
  async perform({ source, destination }, task) {
    try {
      return { bytes: await copyWithin(task, source, destination) }
    } catch (error) {
      throw toTaskError(error)
    }
  },
})

/**
 * Copies to a temporary file beside the destination and renames it: whoever reads the destination sees the
 * old file or the new one, whole, and a copy that is canceled leaves nothing.
 */
async function copyWithin(task: TaskContext, source: string, destination: string): Promise<number> {
  const root = await realpath(task.filesRoot)
  const from = await openSource(root, pathOf(task.filesRoot, root, source), source)
  try {
    const info = await from.stat()
    const target = await resolveDestination(
      root,
      pathOf(task.filesRoot, root, destination),
      destination,
    )
    if (target.info !== undefined && isSameFile(target.info, info)) return 0
    const temporary = join(dirname(target.path), `.copyfile-${randomBytes(8).toString('hex')}.tmp`)
    const mode = (target.info ?? info).mode & 0o777
    const to = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      mode,
    )
    try {
      await checkHandle(to, root, destination)
      const bytes = await copy(from, to, info.size, task)
      await to.chmod(mode)
      await to.close()
      await rename(temporary, target.path)
      return bytes
    } catch (error) {
      await to.close()
      await unlink(temporary)
      throw error
    }
  } finally {
    await from.close()
  }
}

async function copy(
  from: FileHandle,
  to: FileHandle,
  total: number,
  task: TaskContext,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  let bytes = 0
  for (;;) {
    await task.checkpoint()
    const { bytesRead } = await from.read(buffer, 0, CHUNK_BYTES, bytes)
    if (bytesRead === 0) return bytes
    // A write can be short, on a disk that is filling up for one.
    for (let written = 0; written < bytesRead; ) {
      written += (await to.write(buffer, written, bytesRead - written, bytes + written))
        .bytesWritten
    }
    bytes += bytesRead
    task.progress(bytes, Math.max(total, bytes))
  }
}

async function openSource(root: string, source: string, name: string): Promise<FileHandle> {
  const path = within(root, await realpath(source), name)
  // Not blocking: to open a pipe for reading would wait for one who writes.
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (!(await handle.stat()).isFile()) throw notRegular(name)
    await checkHandle(handle, root, name)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Where the destination really is, links followed, and what is there now. */
async function resolveDestination(
  root: string,
  destination: string,
  name: string,
): Promise<{ path: string; info?: Stats }> {
  if (destination === root) throw notRegular(name)
  const folder = within(root, await realpath(dirname(destination)), name)
  const path = join(folder, basename(destination))
  const info = await statIfThere(path)
  if (info === undefined) return { path }
  if (!info.isSymbolicLink()) {
    if (!info.isFile()) throw notRegular(name)
    return { path, info }
  }
  // A link that leads nowhere, or outside, is not a place to write through.
  const real = within(root, await realpath(path), name)
  const target = await lstat(real)
  if (!target.isFile()) throw notRegular(name)
  return { path: real, info: target }
}

/**
 * The path that a name stands for. One that leads outside is refused before the disk is asked, which would
 * tell what there is.
 */
function pathOf(filesRoot: string, root: string, name: string): string {
  const path = resolve(root, name)
  // The root itself may be a link, by which absolute names lead.
  return within(
    root,
    isWithin(filesRoot, path) ? resolve(root, relative(filesRoot, path)) : path,
    name,
  )
}

/**
 * Makes sure that what was opened is within the root even where a folder was exchanged for a link between
 * the check of the path and the opening. Only Linux can tell.
 */
async function checkHandle(handle: FileHandle, root: string, name: string): Promise<void> {
  if (process.platform === 'linux') within(root, await readlink(`/proc/self/fd/${handle.fd}`), name)
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function within(root: string, path: string, name: string): string {
  if (isWithin(root, path)) return path
  throw new TaskError(
    'outside-root',
    `${name} lies outside the folder that workers may use (ERRAND_FILES_ROOT).`,
    { retryable: false },
  )
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path)
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

function isSameFile(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev
}

function notRegular(name: string): TaskError {
  return new TaskError('not-regular-file', `${name} is not a regular file.`, { retryable: false })
}

const CODES: { readonly [code: string]: { code: string; retryable: boolean } } = {
  ENOENT: { code: 'file-not-found', retryable: false },
  ENOTDIR: { code: 'file-not-found', retryable: false },
  ENAMETOOLONG: { code: 'file-not-found', retryable: false },
  ELOOP: { code: 'not-regular-file', retryable: false },
  ENXIO: { code: 'not-regular-file', retryable: false },
  EISDIR: { code: 'not-regular-file', retryable: false },
  EACCES: { code: 'permission-denied', retryable: false },
  EPERM: { code: 'permission-denied', retryable: false },
  EROFS: { code: 'permission-denied', retryable: false },
  ERR_INVALID_ARG_VALUE: { code: 'invalid-path', retryable: false },
  ENOSPC: { code: 'disk-full', retryable: true },
  EDQUOT: { code: 'disk-full', retryable: true },
}

function toTaskError(error: unknown): unknown {
  const known = CODES[codeOf(error) ?? '']
  if (known === undefined || !(error instanceof Error)) return error
  return new TaskError(known.code, error.message, { retryable: known.retryable, cause: error })
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}
