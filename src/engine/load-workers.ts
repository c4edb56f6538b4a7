import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ErrandError } from '../task/errors.ts'
import type { Registry } from './registry.ts'

const WORKER_FILE = /^[^.].*\.m?[tj]s$/
const DECLARATIONS = /\.d\.m?ts$/

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const errand = new URL(`../index.${extension}`, import.meta.url).href
let isResolved = false

/** From now on `import 'errand'`, in whatever file, is the Errand that runs. Idempotent. */
export function resolveErrand(): void {
  if (isResolved) return
  isResolved = true
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'errand' ? { url: errand, shortCircuit: true } : next(specifier, context),
  })
}

/**
 * Loads every `.ts`, `.mts`, `.js` and `.mjs` file of a folder, in the order of their names, as a worker, or a
 * file alone. Subfolders, declarations and files that begin with a dot are left out.
 *
 * @returns how many were loaded
 * @throws {@link ErrandError} `invalid-worker`, naming the file and the fault
 */
export async function loadWorkers(
  registry: Registry,
  folderOrFile: string,
  isBuiltin = false,
): Promise<number> {
  resolveErrand()
  const files = await workerFiles(resolve(folderOrFile))
  for (const file of files) {
    const module = pathToFileURL(file).href
    registry.add(await importWorker(file, module), file, { module, isBuiltin })
  }
  return files.length
}

async function workerFiles(path: string): Promise<string[]> {
  let entries: Dirent[]
  try {
    if ((await stat(path)).isFile()) return [workerFile(path)]
    entries = await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (error instanceof ErrandError) throw error
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const reason = isMissing ? 'does not exist' : `cannot be read: ${message(error)}`
    throw new ErrandError(
      'invalid-worker',
      `The setting workers (ERRAND_WORKERS) names ${path}, which ${reason}.`,
    )
  }
  return entries
    .filter((entry) => !entry.isDirectory() && isWorkerFile(entry.name))
    .map((entry) => join(path, entry.name))
    .sort()
}

function workerFile(path: string): string {
  if (isWorkerFile(basename(path))) return path
  throw new ErrandError(
    'invalid-worker',
    `The setting workers (ERRAND_WORKERS) names ${path}, which is neither a folder nor a .ts, .mts, .js or .mjs file.`,
  )
}

function isWorkerFile(name: string): boolean {
  return WORKER_FILE.test(name) && !DECLARATIONS.test(name)
}

async function importWorker(file: string, module: string): Promise<unknown> {
  let exported: { default?: unknown }
  try {
    exported = await import(module)
  } catch (error) {
    // Loaded when there is something to explain.
    const { loadFault } = await import('./load-fault.ts')
    throw new ErrandError('invalid-worker', await loadFault(file, error), { cause: error })
  }
  if (exported.default === undefined) {
    throw new ErrandError(
      'invalid-worker',
      `${file} has no default export: write export default defineWorker({ ... }), or move the file to a subfolder.`,
    )
  }
  return exported.default
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
