import { resolve } from 'node:path'
import { Server as TlsServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import swaggerUi from '@fastify/swagger-ui'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  LogController,
} from 'fastify'
import plugin from 'fastify-plugin'
import { authenticate } from '../routes/authenticate.ts'
import { taskyRoutes } from '../routes/compat/tasky.ts'
import { useCompilers } from '../routes/compilers.ts'
import { eventRoutes } from '../routes/events.ts'
import { healthRoutes } from '../routes/health.ts'
import { refuseUnknown } from '../routes/not-found.ts'
import { describeApi } from '../routes/openapi.ts'
import { sendClientError, sendProblem } from '../routes/problem.ts'
import { SHARED } from '../routes/schemas.ts'
import { toSettled, toTime } from '../routes/task-json.ts'
import { taskRoutes } from '../routes/tasks.ts'
import { UserTokens } from '../routes/user-tokens.ts'
import { workerRoutes } from '../routes/workers.ts'
import { CALLBACK, callbackWorker, type Delivery } from './callbacks/callback-worker.ts'
import { type Config, checkExposure, isLoopback, readConfig, SETTINGS } from './config.ts'
import { Engine } from './engine/engine.ts'
import { loadWorkers } from './engine/load-workers.ts'
import { Registry } from './engine/registry.ts'
import { Secrets } from './engine/secrets.ts'
import { MemoryStore } from './stores/memory.ts'
import { EgressPolicy } from './task/egress.ts'
import { ErrandError } from './task/errors.ts'
import { type Json, toJson } from './task/json.ts'
import { didYouMean } from './task/nearest.ts'
import type { Task } from './task/task.ts'
import type { AnyWorker } from './task/worker.ts'
import { version } from './version.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The engine behind the routes of this instance. */
    errand: Engine
  }
}

/** What an application is made of; settings that are left out have the defaults of the table. */
export interface AppOptions extends Partial<Omit<Config, 'host' | 'port' | 'workers'>> {
  /** Your own workers: definitions, and folders or files to load them from. */
  workers?: readonly (AnyWorker | string)[]
  /** Whether the built-in workers are served too; true unless told otherwise. */
  builtins?: boolean
  /** The address that will be listened on: without a key, on loopback, only local names are answered. */
  host?: string
}

/** What may be given: the settings, what an application has beside them, and what Fastify gives a plugin. */
const OPTIONS = [
  ...Object.keys(SETTINGS).filter((setting) => setting !== 'port'),
  ...['builtins', 'prefix', 'logSerializers'],
]

const builtinWorkers = fileURLToPath(new URL('../workers/', import.meta.url))

/**
 * Mounts the whole API, as a Fastify plugin, in an application of your own:
 *
 *     await app.register(errand, { prefix: '/tasks-api', workers: [hello] })
 *
 * Workers are loaded and tasks performed once the application is ready; both end with its `close`, which
 * waits for running tasks up to the grace: give your application a `pluginTimeout` that is longer, or 0. Decorates the instance it is registered in with `errand`, the
 * engine.
 *
 * Errors: `invalid-worker` and `invalid-config`, at registration.
 */
export const errand: FastifyPluginAsync<AppOptions> = plugin(
  async (app, options) => {
    const { prefix = '' } = options as { prefix?: string }
    const config = withDefaults(options)
    const registry = await loadRegistry(options, app.log)
    if (config.callbackSecrets.length > 0) {
      registry.add(callbackWorker(config.callbackSecrets), 'the worker of callbacks', {
        isBuiltin: true,
        isInternal: true,
      })
    }
    const tokens = config.apiKey === undefined ? undefined : new UserTokens(config.apiKey)
    if (tokens !== undefined) serveOwnAddresses(app, tokens, config.url)
    if (config.commands.length > 0) await loadCommands(registry, config.commands, app.log)
    const engine = new Engine({
      registry,
      store: new MemoryStore(),
      log: app.log,
      retention: { maxAgeMs: config.retentionMs, maxFinished: config.maxFinished },
      maxQueued: config.maxQueued,
      maxOutput: config.maxOutput,
      filesRoot: config.filesRoot,
      secrets: new Secrets(config.secretsDir),
      callbacks: registry.has(CALLBACK) ? { worker: CALLBACK, toInput: toDelivery } : undefined,
      egress: EgressPolicy.parse(config.egress),
      userToken: tokens && ((url) => tokens.issue(url)),
    })
    app.decorate('errand', engine)
    app.addHook('onReady', async () => engine.start())
    app.addHook('preClose', () => engine.stop(config.graceMs))
    await app.register(api, { prefix, engine, registry, config, tokens })
  },
  { name: 'errand', fastify: '5.x' },
)

/** Has tokens given out for the addresses that this server itself has, once it has them. */
function serveOwnAddresses(
  app: FastifyInstance,
  tokens: UserTokens,
  url: string | undefined,
): void {
  if (url !== undefined) tokens.serve(url)
  app.addHook('onListen', async () => {
    const scheme = app.server instanceof TlsServer ? 'https' : 'http'
    for (const listening of app.addresses()) {
      // A socket in the file system has no address that a URL could name.
      if (typeof listening === 'string') continue
      const { address, family, port } = listening
      const host = family === 'IPv6' ? `[${address}]` : address
      for (const name of [host, 'localhost']) tokens.serve(`${scheme}://${name}:${port}`)
    }
  })
}

/** A finished task as its callback delivers it. */
function toDelivery(task: Task, url: string): Json {
  const delivery: Delivery = {
    url,
    messageId: `task_${task.id}`,
    payload: {
      type: `task.${task.status}`,
      timestamp: toTime(task.finishedAt ?? task.createdAt),
      data: toJson(toSettled(task)),
    },
  }
  return toJson(delivery)
}

/** A server of the whole API and nothing else, not listening yet: `await createApp()`, then `listen`. */
export async function createApp(options: AppOptions = {}): Promise<FastifyInstance> {
  const config = withDefaults(options)
  checkExposure(config, 'apiKey', "auth: 'none'")
  const app = fastify({
    // Node's own stream: pino's default one retries for ever, and holds the exit, once its reader has gone.
    logger: { level: config.logLevel, stream: process.stdout },
    // Requests are logged where they fail; a line or two for each would cost more than the request.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.bodyLimit,
    requestTimeout: 60_000,
    forceCloseConnections: 'idle',
    // While running tasks have their grace, what became of them can be read; the engine refuses submits.
    return503OnClosing: false,
    // It bounds closing too, and running tasks may have more grace than its ten seconds.
    pluginTimeout: 0,
    // What Fastify refuses before it has found a route: an address that is not one.
    frameworkErrors: sendProblem,
    clientErrorHandler: sendClientError,
    routerOptions: { maxParamLength: 200 },
  })
  // Fastify makes a logger for each request, to bind its id; nothing here logs by request.
  Object.assign(app.log, { child: () => app.log })
  try {
    await app.register(errand, options)
    return app
  } catch (error) {
    await app.close()
    throw error
  }
}

/**
 * The settings given, and the defaults of the table for the rest.
 *
 * @throws {@link ErrandError} `invalid-config`, naming an option that is not known
 */
function withDefaults(options: AppOptions): Omit<Config, 'workers'> {
  checkOptions(options)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const config = { ...readConfig(), ...Object.fromEntries(given) }
  return { ...config, filesRoot: resolve(config.filesRoot) }
}

function checkOptions(options: AppOptions): void {
  for (const option of Object.keys(options)) {
    if (OPTIONS.includes(option)) continue
    const hint = option === 'port' ? ': listen({ port }) takes it' : didYouMean(option, OPTIONS)
    throw new ErrandError('invalid-config', `${option} is no option of Errand${hint}.`)
  }
  checkList(options, 'workers', 'workers and folders, such as [hello]')
  checkList(options, 'commands', "files, such as ['commands.yaml']")
}

/** @throws {@link ErrandError} `invalid-config` */
function checkList(options: AppOptions, option: 'workers' | 'commands', of: string): void {
  if (options[option] === undefined || Array.isArray(options[option])) return
  throw new ErrandError('invalid-config', `The option ${option} must be a list of ${of}.`)
}

async function loadRegistry(options: AppOptions, log: FastifyBaseLogger): Promise<Registry> {
  const registry = new Registry()
  if (options.builtins !== false) await loadWorkers(registry, builtinWorkers, true)
  for (const worker of options.workers ?? []) {
    if (typeof worker !== 'string') {
      registry.add(worker, `worker ${JSON.stringify(worker?.name)}`)
    } else if ((await loadWorkers(registry, worker)) === 0) {
      log.warn(
        { folder: resolve(worker) },
        'no .ts, .mts, .js or .mjs file in this folder of workers',
      )
    }
  }
  return registry
}

/** Takes in the workers that YAML files declare. */
async function loadCommands(
  registry: Registry,
  files: readonly string[],
  log: FastifyBaseLogger,
): Promise<void> {
  // Loaded where there are such files: YAML takes its time.
  const { readCommands } = await import('./commands/read-commands.ts')
  for (const file of files) {
    const { workers, warnings } = await readCommands(file)
    for (const { worker, source } of workers) registry.add(worker, source)
    for (const warning of warnings) log.warn(warning)
  }
}

interface ApiOptions {
  engine: Engine
  registry: Registry
  tokens: UserTokens | undefined
  config: Omit<Config, 'workers'>
}

/** Every route, behind one error handler and one authentication hook. */
async function api(
  app: FastifyInstance,
  { engine, registry, config, tokens }: ApiOptions,
): Promise<void> {
  const { apiKey } = config
  const docs = `${app.prefix}/docs`
  useCompilers(app)
  acceptJsonOnly(app)
  app.setErrorHandler(sendProblem)
  authenticate(app, {
    apiKey,
    tokens,
    loopbackOnly: config.auth !== 'none' && isLoopback(config.host),
  })
  await refuseUnknown(app, docs)
  for (const schema of SHARED) app.addSchema(schema)
  await describeApi(app, version, apiKey !== undefined)
  workerRoutes(app, engine, registry.list())
  taskRoutes(app, engine)
  eventRoutes(app, engine)
  healthRoutes(app, engine, version)
  await app.register(taskyRoutes, { prefix: '/tasky/v1', engine, docs })
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  )
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    indexPrefix: app.prefix,
    theme: { title: 'Errand' },
    // Without the bar on top, which offers to load other documents than this one.
    uiConfig: { layout: 'BaseLayout', displayOperationId: true, tryItOutEnabled: true },
  })
}

/** JSON is all that is read; a body of any other type is refused, and an empty one is no body. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') return done(null, undefined)
    return parse(request, String(body), done)
  })
}
