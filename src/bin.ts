#!/usr/bin/env node
// What the package installs as `errand`. It imports nothing, so that a Node that is too old for the rest can
// say so, rather than that some module has no such export.

const NEEDED = 24
const { node } = process.versions

if (Number.parseInt(node, 10) >= NEEDED) {
  await import('./cli.ts')
} else {
  process.stderr.write(`errand: Errand needs Node ${NEEDED} or later; this is Node ${node}.\n`)
  process.exitCode = 1
}
