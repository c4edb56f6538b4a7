import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Probe } from './probe.ts'

const SERVER_CPU = '1'
const LOAD_CPU = '0'

/** Whether processes can be pinned to a core here: it takes `taskset` and two cores. */
export const canPin: boolean = spawnSync('taskset', ['-c', SERVER_CPU, 'true']).status === 0

/** A server of a benchmark in a process of its own, pinned to one core; the load comes from another. */
export class ServerProcess {
  readonly #child: ChildProcess
  readonly port: number

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(script: string): Promise<ServerProcess> {
    const child = startPinned(SERVER_CPU, script)
    const [probe] = (await once(child, 'message')) as [Probe]
    return new ServerProcess(child, probe.port)
  }

  async probe(): Promise<Probe> {
    this.#child.send('probe')
    const [probe] = (await once(this.#child, 'message')) as [Probe]
    return probe
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.send('close')
    await ended
  }
}

/** Runs a script of this folder on the core that load comes from, and resolves with what it sends. */
export async function runLoad<T>(script: string, argument: object): Promise<T> {
  const child = startPinned(LOAD_CPU, script, JSON.stringify(argument))
  const ended = once(child, 'exit')
  const [result] = (await once(child, 'message')) as [T]
  await ended
  return result
}

function startPinned(cpu: string, script: string, ...args: string[]): ChildProcess {
  const node = [process.execPath, fileURLToPath(new URL(script, import.meta.url)), ...args]
  const [command = '', ...rest] = canPin ? ['taskset', '-c', cpu, ...node] : node
  return spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}
