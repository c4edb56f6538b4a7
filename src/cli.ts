import { writeFile } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { Command, CommanderError } from 'commander'
import { readConfig, SETTINGS } from './config.ts'
import { ErrandError } from './task/errors.ts'
import { version } from './version.ts'

// What was compiled, and stripped of its types, is kept for the next start, which takes half as long.
enableCompileCache()

const program = new Command('errand')
  .description('A task API for a machine or a container')
  .version(version)
  .showHelpAfterError('(errand --help shows what there is)')
  .exitOverride()

const serve = program.command('serve').description('Serve the API until SIGTERM or SIGINT')
for (const { flag, variable, value, description, fallback } of Object.values(SETTINGS)) {
  const or = fallback === undefined || fallback === '' ? '' : `; ${fallback}`
  serve.option(`--${flag} <${value}>`, `${description} (${variable}${or})`)
}
serve.action(async (_options: object, command: Command) => {
  const config = readConfig(flagsOf(command), process.env)
  // Loaded only for the command that needs it: the others, and errors in the settings, answer at once.
  const { serve } = await import('./server.ts')
  await serve(config)
})

program
  .command('openapi')
  .description('Write the OpenAPI document of the built-in workers, as YAML')
  .option('--out <FILE>', 'where to; standard output unless given')
  .action(async ({ out }: { out?: string }) => {
    const { openapiYaml } = await import('./openapi-yaml.ts')
    const text = await openapiYaml()
    if (out === undefined) process.stdout.write(text)
    else await writeFile(out, text)
  })

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode
  } else {
    const message =
      error instanceof ErrandError
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error)
    process.stderr.write(`errand: ${message}\n`)
    process.exitCode = 1
  }
}

/** The flags given, by their names; Commander knows them in camel case. */
function flagsOf(command: Command): { [flag: string]: string } {
  const given = command.opts<{ [option: string]: string }>()
  const flags: { [flag: string]: string } = {}
  for (const option of command.options) {
    const value = given[option.attributeName()]
    if (value !== undefined) flags[option.name()] = value
  }
  return flags
}
