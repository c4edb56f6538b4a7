import { type Browser, chromium } from 'playwright-core'
import type { Test } from 'tap'
import { program } from './program.ts'

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

/** A headless Chromium, closed with the test, or undefined where there is none: see {@link program}. */
export async function launchChromium(t: Test): Promise<Browser | undefined> {
  const executablePath = program(t, {
    names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
    debian: 'chromium',
    variable: 'CHROMIUM_PATH',
    untested: 'in a browser',
  })
  if (executablePath === undefined) return undefined
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS })
  t.teardown(() => browser.close())
  return browser
}
