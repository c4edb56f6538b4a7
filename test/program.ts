import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

const INSTALL_WITHIN_MS = 300_000
const TRY_AGAIN_MS = 1_000

export interface ProgramOptions {
  /** The names it goes by, the first one found is taken. */
  names: readonly string[]
  /** The package of Debian that it is in. */
  debian: string
  /** The variable that says where one is, before any is looked for. */
  variable?: string
  /** What goes untested without it, in a few words. */
  untested: string
}

/**
 * The path of a program that a test needs beside npm. Where the machine has none, it is installed if that is
 * possible (Debian, as root). Otherwise the result is undefined, after a line that says what to install; and
 * where `CI=true`, the test fails.
 */
export function program(t: Test, options: ProgramOptions): string | undefined {
  const { names, debian, variable, untested } = options
  const path = given(variable) ?? find(names) ?? install(debian, names)
  if (path !== undefined) return path
  const place = variable === undefined ? '' : `, or say where one is with ${variable}`
  const message = `NOT TESTED ${untested.toUpperCase()}: install ${debian}${place}`
  if (process.env.CI === 'true') t.fail(message)
  else t.pass(message, { skip: message })
  return undefined
}

function given(variable: string | undefined): string | undefined {
  const path = variable === undefined ? undefined : process.env[variable]
  if (path === undefined || path === '') return undefined
  if (isExecutable(path)) return path
  throw new Error(`${variable} is ${path}, which is no program`)
}

function find(names: readonly string[]): string | undefined {
  // Servers are often kept out of the way of those who are not root.
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    '/sbin',
  ]
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
}

/** Several test files may install at once: who comes second waits for the lock of the first. */
function install(debian: string, names: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return undefined
  const end = Date.now() + INSTALL_WITHIN_MS
  do {
    if (aptGet('update') && aptGet('install', '-y', '--no-install-recommends', debian))
      return find(names)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TRY_AGAIN_MS)
  } while (isLocked() && Date.now() < end)
  return find(names)
}

function aptGet(...args: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', POLICYRCD: '/bin/true' }
  return (
    spawnSync('apt-get', args, { env, stdio: 'ignore', timeout: INSTALL_WITHIN_MS }).status === 0
  )
}

function isLocked(): boolean {
  return spawnSync('apt-get', ['check'], { stdio: 'ignore' }).status !== 0
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
