import { createRequire } from 'node:module'
import { join } from 'node:path'
import { didYouMean } from '../../src/task/nearest.ts'
import { TaskError } from '../../src/task/worker.ts'
import { clientNames, packageOf } from './client-names.ts'
import { methodName } from './method-name.ts'

/** A command of the SDK: one call of one operation. */
export interface AwsCommand {
  readonly input: object
  /** Says what the input and the output look like; clients of the SDK before 3.900 have none. */
  readonly schema?: unknown
}
export type CommandClass = new (input: object) => AwsCommand

/** What is used of a client of the SDK. */
export interface AwsClient {
  readonly middlewareStack: {
    add(middleware: Middleware, options: { step: string; priority: string; name: string }): void
  }
  send(command: AwsCommand, options: { abortSignal: AbortSignal }): Promise<object>
  destroy(): void
}
type ClientClass = new (config: object) => AwsClient

/** Stands between the SDK and the connection. */
export type Middleware = (next: Handler) => Handler
type Handler = (args: { request?: unknown }) => Promise<{ response: unknown }>

/** Polls until a state is reached. Resolves then, and rejects for any other end. */
export type WaitUntil = (
  options: {
    client: { config: object; send(command: AwsCommand): Promise<object> }
    minDelay: number
    maxDelay: number
    maxWaitTime: number
    abortSignal: AbortSignal
  },
  parameters: object,
) => Promise<unknown>

const loaded = new Map<string, Service>()

/**
 * A client's package of the SDK, loaded when it is first asked for: one that Errand brings along, or one that
 * is installed in the folder where the server runs.
 *
 * @throws {@link TaskError} `unknown-client`, `client-not-installed`
 */
export function loadService(client: string): Service {
  const service = loaded.get(client) ?? new Service(client, load(client))
  loaded.set(client, service)
  return service
}

/** The commands and waiters of one client, by the names of boto3. */
export class Service {
  /** As boto3 names it. */
  readonly name: string
  readonly Client: ClientClass
  readonly #commands = new Map<string, CommandClass>()
  readonly #waiters = new Map<string, WaitUntil>()

  constructor(name: string, module: { readonly [name: string]: unknown }) {
    this.name = name
    let Client: ClientClass | undefined
    for (const [exported, value] of Object.entries(module)) {
      if (typeof value !== 'function') continue
      const [, operation] = /^([A-Z]\w*)Command$/.exec(exported) ?? []
      const [, state] = /^waitUntil([A-Z]\w*)$/.exec(exported) ?? []
      // The names are those that each client of the SDK gives to things of these types.
      if (operation !== undefined) this.#commands.set(methodName(operation), value as CommandClass)
      else if (state !== undefined) this.#waiters.set(methodName(state), value as WaitUntil)
      else if (/^[A-Z]\w*Client$/.test(exported)) Client = value as ClientClass
    }
    if (Client === undefined) throw unusable(name, 'it exports no client')
    this.Client = Client
  }

  /** @throws {@link TaskError} `unknown-service` */
  command(method: string): CommandClass {
    return this.#find('service', method, this.#commands)
  }

  /** @throws {@link TaskError} `unknown-waiter` */
  waiter(state: string): WaitUntil {
    return this.#find('waiter', state, this.#waiters)
  }

  #find<T>(kind: string, name: string, known: ReadonlyMap<string, T>): T {
    const found = known.get(name)
    if (found !== undefined) return found
    const names = [...known.keys()]
    const none = names.length === 0 ? ' It has none.' : ''
    throw new TaskError(
      `unknown-${kind}`,
      `The client ${this.name} has no ${kind} ${name}${didYouMean(name, names)}.${none}`,
      { retryable: false },
    )
  }
}

function load(client: string): { readonly [name: string]: unknown } {
  const name = packageOf(client)
  for (const place of [import.meta.url, join(process.cwd(), 'index.js')]) {
    const require = createRequire(place)
    const path = pathOf(name, require)
    if (path === undefined) continue
    try {
      return require(path)
    } catch (cause) {
      throw unusable(client, cause instanceof Error ? cause.message : String(cause), cause)
    }
  }
  throw notInstalled(client)
}

function pathOf(name: string, require: NodeJS.Require): string | undefined {
  try {
    return require.resolve(name)
  } catch {
    return undefined
  }
}

function notInstalled(client: string): TaskError {
  const install = `npm install ${packageOf(client)}`
  const names = clientNames()
  if (names.includes(client)) {
    return new TaskError(
      'client-not-installed',
      `The client ${client} does not come with Errand: in the folder where the server runs, ${install}.`,
      { retryable: false },
    )
  }
  return new TaskError(
    'unknown-client',
    `No client ${client} is known${didYouMean(client, names)}. If AWS has it, ${install} in the folder where the server runs.`,
    { retryable: false },
  )
}

function unusable(client: string, why: string, cause?: unknown): TaskError {
  return new TaskError(
    'client-not-installed',
    `${packageOf(client)} cannot be used: ${why}. Install a newer one: npm install ${packageOf(client)}@latest.`,
    { retryable: false, cause },
  )
}
