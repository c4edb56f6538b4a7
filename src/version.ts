import { readFileSync } from 'node:fs'

// The package's root is one folder up from here, or two in the published build.
const up = import.meta.url.endsWith('.ts') ? '..' : '../..'

/** The package's version. */
export const version: string = JSON.parse(
  readFileSync(new URL(`${up}/package.json`, import.meta.url), 'utf8'),
).version
