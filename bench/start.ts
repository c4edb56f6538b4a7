import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { median, report } from './report.ts'

const RUNS = 7
const IDLE_MS = 3_000

/** From the start of the process to its first answer, and what it holds when nothing happens. */
export async function benchStart(): Promise<void> {
  const starts: number[] = []
  const residents: number[] = []
  for (let run = 0; run <= RUNS; run++) {
    const { startMs, residentBytes } = await startOnce()
    // The first start compiles what the others find compiled.
    if (run === 0) {
      report('the very first start, to its first answer', `${startMs.toFixed(0)} ms`)
      continue
    }
    starts.push(startMs)
    residents.push(residentBytes / 1e6)
  }
  const startMs = median(starts)
  report('start to first answer', `${startMs.toFixed(0)} ms`, startMs <= 500, 'at most 500 ms')
  const megabytes = median(residents)
  report('idle, resident', `${megabytes.toFixed(0)} MB`, megabytes <= 110, 'at most 110 MB')
}

async function startOnce(): Promise<{ startMs: number; residentBytes: number }> {
  const port = await freePort()
  // As `npm start` runs it.
  const source = join(import.meta.dirname, '../src')
  const node = ['--import', join(source, 'compile-cache.mjs'), join(source, 'cli.ts'), 'serve']
  const began = performance.now()
  const child = spawn(process.execPath, [...node, '--port', String(port)], { stdio: 'ignore' })
  try {
    while (!(await answers(port))) await new Promise((resolve) => setTimeout(resolve, 2))
    const startMs = performance.now() - began
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
    return { startMs, residentBytes: residentOf(child.pid ?? 0) }
  } finally {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`)
    return response.ok
  } catch {
    return false
  }
}

function residentOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) * 1_024
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
