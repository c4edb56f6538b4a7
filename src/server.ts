import type { Server } from 'node:http'
import closeWithGrace from 'close-with-grace'
import { type AppOptions, createApp } from './app.ts'
import type { Config } from './config.ts'
import { ErrandError } from './task/errors.ts'

/** Beyond the grace of running tasks, what closing may take, in milliseconds, before the process ends anyway. */
const CLOSE_WITHIN_MS = 10_000
/** Workers that are named when it starts. */
const MAX_NAMED = 20

/**
 * Serves until SIGTERM or SIGINT, then stops accepting, gives running tasks their grace and exits with 0. A
 * second signal exits at once. Only this file knows signals and exit codes.
 */
export async function serve(config: Config): Promise<void> {
  const { host, port, ...settings } = config
  const app = await createApp({ host, ...settings } satisfies AppOptions)
  const { log } = app
  // Whoever read the log has gone: no reason to end, nor to stay when told to.
  process.stdout.on('error', () => {})
  // A promise that a worker left behind is no reason to end the tasks of all the others.
  process.on('unhandledRejection', (err) =>
    log.error({ err }, 'a promise was rejected and nobody looked'),
  )
  const graceful = closeWithGrace(
    {
      delay: config.graceMs + CLOSE_WITHIN_MS,
      logger: false,
      skip: ['unhandledRejection'],
      onSecondSignal: (signal) =>
        log.warn({ signal, running: app.errand.running }, 'told twice: running tasks are left'),
    },
    async ({ signal, err }) => {
      if (err !== undefined) log.fatal({ err }, 'an error that nothing caught: stopping')
      else
        log.info(
          {
            signal,
            running: app.errand.running,
            graceMs: config.graceMs,
            hint: 'a second signal ends at once',
          },
          'stopping',
        )
      await app.close()
      log.info('stopped')
    },
  )
  try {
    await app.listen({ host, port })
  } catch (error) {
    graceful.uninstall()
    await app.close()
    const reason = error instanceof Error ? error.message.replace(/^listen /, '') : String(error)
    throw new ErrandError(
      'invalid-config',
      `The server cannot listen on ${host}, port ${port}: ${reason}.`,
    )
  }
  const url = urlOf(app.server)
  const names = (await app.errand.workers()).map(({ worker }) => worker.name)
  process.stdout.write(
    `Errand serves\n  API      ${url}/workers\n  Docs     ${url}/docs\n  Health   ${url}/healthz\n  Workers  ${listed(names)}\n`,
  )
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMED
  return names.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function urlOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return String(address)
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}
