import { readdir } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ErrandError } from '../task/errors.ts'
import type { Registry } from './registry.ts'

const WORKER_FILE = /^[^.].*\.(?:ts|js|mjs)$/
const DECLARATIONS = /\.d\.ts$/

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
 * Loads every `.ts`, `.js` and `.mjs` file of a folder, in the order of their names, as a worker. Subfolders,
 * declarations and files that begin with a dot are left out.
 *
 * @throws {@link ErrandError} `invalid-worker`, naming the file and the fault
 */
export async function loadWorkers(
  registry: Registry,
  folder: string,
  isBuiltin = false,
): Promise<void> {
  resolveErrand()
  const path = resolve(folder)
  for (const file of await workerFiles(path)) {
    const module = pathToFileURL(join(path, file)).href
    registry.add(await importWorker(join(path, file), module), join(path, file), {
      module,
      isBuiltin,
    })
  }
}

async function workerFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries
      .filter(
        (entry) =>
          !entry.isDirectory() && WORKER_FILE.test(entry.name) && !DECLARATIONS.test(entry.name),
      )
      .map((entry) => entry.name)
      .sort()
  } catch (error) {
    throw new ErrandError(
      'invalid-worker',
      `The workers' folder ${folder} cannot be read: ${message(error)}.`,
    )
  }
}

async function importWorker(file: string, module: string): Promise<unknown> {
  let exported: { default?: unknown }
  try {
    exported = await import(module)
  } catch (error) {
    throw new ErrandError('invalid-worker', `${file} cannot be loaded: ${message(error)}.`, {
      cause: error,
    })
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
