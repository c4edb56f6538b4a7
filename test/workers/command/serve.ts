import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { startApp } from '../perform.ts'

/** What a completed task of a command shows, and a failed one too. */
export interface Result {
  exitCode?: number
  signal?: string
  output: unknown
  stderr: string
  truncated?: { output: number; stderr: number }
}

/** An application that serves commands, and the folder that their file stands in. */
export async function serve(
  t: Test,
  workers: { readonly [name: string]: object },
  options: { graceMs?: number } = {},
): Promise<{ app: FastifyInstance; folder: string }> {
  const described = Object.entries(workers).map(([name, definition]) => [
    name,
    { description: name, ...definition },
  ])
  const file = stringify({ workers: Object.fromEntries(described) })
  const folder = t.testdir({ 'commands.yaml': file })
  const commands = [join(folder, 'commands.yaml')]
  return { app: await startApp(t, { commands, builtins: false, ...options }), folder }
}

/** A task's output, which is that of a command. */
export function resultOf({ output }: { output?: unknown }): Result {
  return output as Result
}

/** The living processes whose environment has a variable of that value. */
export function processesWith(variable: string, value: string): number[] {
  return processes((folder) => {
    const environment = readFileSync(join(folder, 'environ'), 'utf8').split('\0')
    return environment.includes(`${variable}=${value}`)
  })
}

/** The children of this process, dead ones that nobody has asked about among them. */
export function children(): number[] {
  return processes((folder) => {
    const stat = readFileSync(join(folder, 'stat'), 'latin1')
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(parent) === process.pid
  })
}

function processes(matches: (folder: string) => boolean): number[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return ids.map(Number).filter((id) => {
    try {
      return matches(join('/proc', String(id)))
    } catch {
      // It has ended, or is another user's.
      return false
    }
  })
}
