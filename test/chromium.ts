import { execFileSync, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import type { Test } from 'tap'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
/** It runs as root in a container, with no GPU, and must not look for anything outside. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * A headless Chromium, closed with the test. Where the machine has none, it is installed if that is possible
 * (Debian, as root). Otherwise the result is undefined, after a line that says what to install; and where
 * `CI=true`, the test fails.
 */
export async function launchChromium(t: Test): Promise<Browser | undefined> {
  const executablePath = findChromium() ?? installChromium()
  if (executablePath === undefined) {
    const message =
      'NOT TESTED IN A BROWSER: install Chromium, or say where one is with CHROMIUM_PATH'
    if (process.env.CI === 'true') t.fail(message)
    else t.pass(message, { skip: message })
    return undefined
  }
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS })
  t.teardown(() => browser.close())
  return browser
}

function findChromium(): string | undefined {
  const given = process.env.CHROMIUM_PATH
  if (given !== undefined && given !== '') {
    if (isExecutable(given)) return given
    throw new Error(`CHROMIUM_PATH is ${given}, which is no program`)
  }
  const folders = (process.env.PATH ?? '').split(delimiter)
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
}

function installChromium(): string | undefined {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return undefined
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const isUpdated = spawnSync('apt-get', ['update'], { env, stdio: 'ignore' }).status === 0
  if (!isUpdated) return undefined
  try {
    execFileSync('apt-get', ['install', '-y', 'chromium'], { env, stdio: 'ignore' })
  } catch {
    return undefined
  }
  return findChromium()
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
