import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'
import type { Test } from 'tap'
import { until } from './until.ts'

/** The folder of the repository. */
export const root: string = join(import.meta.dirname, '..')
export const cli: string = join(root, 'src/cli.ts')

/** What a process that is started for a test takes over from this one: nothing of Errand's, npm's or tap's. */
const OTHERS = /^(?:ERRAND_|npm_|_?TAP)/

export interface Variables {
  readonly [variable: string]: string
}

export interface ProcessOptions {
  /** Beside those of this process. */
  env?: Variables
  cwd?: string
  /** After this long, in milliseconds, it is ended and the run fails. */
  withinMs?: number
}

export interface Run {
  code: number | null
  stdout: string
  stderr: string
}

/** The environment of a process that is started for a test, in which `node` is the one that runs the tests. */
export function environment(more: Variables = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([variable]) => !OTHERS.test(variable))
  const path = [dirname(process.execPath), process.env.PATH].join(delimiter)
  return { ...Object.fromEntries(own), PATH: path, ...more }
}

/** Runs a command to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<Run> {
  const child = new Child(command, args, options)
  try {
    return await child.ended(options.withinMs ?? 30_000)
  } finally {
    child.kill()
  }
}

/** A command that was started, and what it has printed so far. */
class Child {
  readonly #process: ChildProcess
  readonly #closed: Promise<unknown>
  stdout = ''
  stderr = ''

  constructor(command: string, args: readonly string[], { env = {}, cwd = root }: ProcessOptions) {
    // Tap adds itself to the NODE_OPTIONS of whatever is spawned, after the environment given here. What
    // users start has no such modules in it; `env` becomes the command, so that signals reach it.
    this.#process = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args], {
      cwd,
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    // A test that runs out of time is ended without its teardown.
    const kill = () => this.kill()
    process.once('exit', kill)
    this.#closed = once(this.#process, 'close').finally(() => process.off('exit', kill))
    this.#closed.catch(() => {})
  }

  get hasExited(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  get output(): string {
    return `${this.stdout}\n${this.stderr}`
  }

  /** Resolves once the process has ended and all it printed is here. */
  async ended(withinMs: number): Promise<Run> {
    const timer = setTimeout(() => this.kill(), withinMs)
    try {
      await this.#closed
    } finally {
      clearTimeout(timer)
    }
    if (this.#process.signalCode === 'SIGKILL')
      throw new Error(`not ended within ${withinMs} ms:\n${this.output}`)
    return { code: this.#process.exitCode, stdout: this.stdout, stderr: this.stderr }
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  kill(): void {
    if (!this.hasExited) this.#process.kill('SIGKILL')
  }
}

/** A server in a process of its own. */
export class ServerProcess {
  readonly #child: Child
  #url: string | undefined

  private constructor(child: Child) {
    this.#child = child
  }

  /** Starts a server on a free port and resolves once it listens. It is ended with the test. */
  static async start(
    t: Test,
    args: readonly string[] = [],
    options: ProcessOptions & { command?: readonly [string, ...string[]] } = {},
  ): Promise<ServerProcess> {
    const [command, ...first] = options.command ?? [process.execPath, cli, 'serve']
    const child = new Child(command, [...first, ...args], {
      ...options,
      env: { ERRAND_PORT: '0', ...options.env },
    })
    t.teardown(async () => {
      child.kill()
      await child.ended(5_000).catch(() => {})
    })
    const server = new ServerProcess(child)
    server.#url = (await server.printed(/Health +(\S+)\/healthz/))[1]
    return server
  }

  /** Where it listens: scheme, host and port. */
  get url(): string {
    if (this.#url === undefined) throw new Error('the server does not listen yet')
    return this.#url
  }

  get stdout(): string {
    return this.#child.stdout
  }

  get stderr(): string {
    return this.#child.stderr
  }

  get hasExited(): boolean {
    return this.#child.hasExited
  }

  /** Resolves once its output holds the pattern. */
  printed(pattern: RegExp, withinMs?: number): Promise<RegExpExecArray> {
    const ask = () => {
      const match = pattern.exec(this.#child.output)
      if (match !== null) return match
      if (this.#child.hasExited)
        throw new Error(`ended without printing ${pattern}:\n${this.#child.output}`)
      return undefined
    }
    return until(ask, withinMs)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal)
  }

  /** Resolves once it has ended, with its exit code and how long that took, in milliseconds. */
  async exit(withinMs = 30_000): Promise<Run & { tookMs: number }> {
    const began = performance.now()
    const ended = await this.#child.ended(withinMs)
    return { ...ended, tookMs: performance.now() - began }
  }

  /** Its answer to a request, with the body read as JSON where it is JSON. */
  async request(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(this.url + path, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') === true
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    }
  }

  /** Submits a task; `query` holds its options. */
  submit(worker: string, input: unknown = {}, query = ''): Promise<Answer> {
    return this.request(`/workers/${worker}${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(input),
    })
  }
}

export interface Answer {
  status: number
  headers: Headers
  // What a server sends is of any shape: a test looks at the members it names.
  body: { [member: string]: unknown }
}
