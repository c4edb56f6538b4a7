import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

/** What V8 says of a module's syntax in a file that it was told to read as CommonJS. */
const MODULE_SYNTAX =
  /import statement outside a module|Unexpected token 'export'|'import\.meta' outside/
/** Files that are modules or CommonJS by the `type` of their package. */
const BY_PACKAGE = /\.[tj]s$/

const JAVASCRIPT = /\.m?js$/

/** Where in which file; lines and columns count from 1. */
interface Place {
  file: string
  line: number
  column: number
}

/**
 * Why a worker's file cannot be loaded, in one line that begins with the file: of a syntax error with its line
 * and its column, and with what to do where the file is read as CommonJS and is none.
 */
export async function loadFault(file: string, error: unknown): Promise<string> {
  const reason = (error instanceof Error ? error.message : String(error)).replace(/\.$/, '')
  const place = error instanceof SyntaxError ? await placeOf(file, error) : undefined
  if (place === undefined) return `${file} cannot be loaded: ${reason}.`
  const at = `${place.file}:${place.line}:${place.column}`
  const fault = place.file === file ? `${at} cannot be loaded` : `${file} cannot be loaded: ${at}`
  return `${fault}: ${reason}.${commonJsHint(place.file, reason)}`
}

/** Where a syntax error stands, as far as Node can be brought to say so. */
async function placeOf(file: string, error: SyntaxError): Promise<Place | undefined> {
  return readPlace(error.stack ?? '') ?? readPlace(await checked(file))
}

/**
 * What Node prints of a file of which it only checks the syntax. The errors of modules in JavaScript do not
 * carry their place; Node shows it when it ends by them.
 */
async function checked(file: string): Promise<string> {
  if (!JAVASCRIPT.test(file)) return ''
  try {
    const env = { ...process.env, NODE_OPTIONS: '' }
    await promisify(execFile)(process.execPath, ['--check', file], { env, timeout: 5_000 })
    return ''
  } catch (error) {
    return error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
  }
}

/** The place at the head of a syntax error: the file with its line, that line, and marks below it. */
function readPlace(text: string): Place | undefined {
  const [head = '', ...lines] = text.split('\n')
  const [, name, line] = /^(.+):(\d+)$/.exec(head) ?? []
  const marks = lines.find((text) => /^\s*\^+\s*$/.test(text))
  if (name === undefined) return undefined
  const file = name.startsWith('file:') ? fileURLToPath(name) : name
  return { file, line: Number(line), column: (marks?.indexOf('^') ?? 0) + 1 }
}

/** What to do where a file is written as a module, and its package says that it is none. */
function commonJsHint(file: string, reason: string): string {
  if (!BY_PACKAGE.test(file) || !MODULE_SYNTAX.test(reason)) return ''
  const found = findPackageJSON(pathToFileURL(file))
  if (found === undefined || JSON.parse(readFileSync(found, 'utf8')).type !== 'commonjs') return ''
  return ` ${found} says that such files are CommonJS: set "type": "module" there, or name the file .m${file.slice(-2)}.`
}
