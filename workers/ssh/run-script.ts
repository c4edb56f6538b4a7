import { randomBytes } from 'node:crypto'
import type { Client, ClientChannel } from 'ssh2'
import { type TaskContext, TaskError, type TaskLogger } from '../../src/task/worker.ts'
import { Connection } from './connection.ts'
import { type CredentialOptions, Credentials } from './credentials.ts'
import { Ending } from './ending.ts'
import { HostKeys } from './host-keys.ts'
import { remoteCommand } from './remote-command.ts'
import { ScriptOutput } from './script-output.ts'

/** How signs of life go back and forth. */
export const TIMING = {
  /** Milliseconds between keepalives, and between newlines to the watch of the script. */
  keepaliveMs: 10_000,
  /** Seconds without such a newline after which the other side ends the script. */
  leaseSeconds: 60,
  /** Milliseconds without output, after the script has exited, until others that hold it are left alone. */
  lingerMs: 2_000,
}

export interface RunScriptInput extends CredentialOptions {
  hostname: string
  hostkey: string
  port: number
  script: string
  'bash-debug-mode': boolean
  connect_timeout: number
  timeout: number
}

export interface RunScriptOutput {
  retcode: number
  report: string
}

interface Exit {
  /** Null where a signal ended it, undefined where nothing was said. */
  code: number | null | undefined
  signal: string | undefined
}

/** Runs a script on a host, and resolves with what it wrote and that it exited with 0. */
export async function runScript(
  input: RunScriptInput,
  task: Pick<TaskContext, 'signal' | 'log' | 'egress'>,
  timing: typeof TIMING = TIMING,
): Promise<RunScriptOutput> {
  const { hostname, port, timeout: ms } = input
  const isDebugging = input['bash-debug-mode']
  const marker = `errand-${randomBytes(16).toString('hex')}`
  const output = new ScriptOutput(marker, task.log, isDebugging)
  const hostKeys = HostKeys.parse(input.hostkey)
  const credentials = new Credentials(input)
  const ending = new Ending(task.signal)
  const target = { hostname, port, hostKeys, credentials, connectTimeout: input.connect_timeout }
  const connection = new Connection({ ...target, keepaliveMs: timing.keepaliveMs }, ending)
  ending.limit(ms, () => late(ms))
  try {
    const client = await connection.open(task.egress)
    const script = Buffer.from(input.script)
    const { leaseSeconds } = timing
    const command = remoteCommand({ marker, bytes: script.length, leaseSeconds, isDebugging })
    const channel = await ending.race(openChannel(client, command))
    const exit = await ending.race(exitOf(channel, script, output, ending, timing, task.log))
    output.end()
    return toResult(exit, output, `${credentials.login}@${hostname}:${port}`)
  } catch (error) {
    throw withReport(error, output)
  } finally {
    ending.close()
    connection.close()
  }
}

async function openChannel(client: Client, command: string): Promise<ClientChannel> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>()
  client.exec(command, (error, channel) => {
    if (error === undefined) resolve(channel)
    else reject(notStarted(error.message))
  })
  return promise
}

/** Sends the script, takes in what it writes, and resolves once all has come. */
async function exitOf(
  channel: ClientChannel,
  script: Buffer,
  output: ScriptOutput,
  ending: Ending,
  timing: typeof TIMING,
  log: TaskLogger,
): Promise<Exit> {
  const exit: Exit = { code: undefined, signal: undefined }
  const { promise, resolve } = Promise.withResolvers<Exit>()
  let linger: NodeJS.Timeout | undefined
  channel.on('data', (part: Buffer) => {
    output.add(part)
    linger?.refresh()
  })
  channel.stderr.on('data', (part: Buffer) => output.addError(part))
  channel.on('exit', (code: number | null, signal?: string) => {
    Object.assign(exit, { code, signal })
    // The watch goes with the end of its input, whatever the server does with it at the end of the script.
    channel.end()
    linger = ending.after(timing.lingerMs, () => {
      log.warn('Processes that the script left behind hold its output: they are not waited for.')
      resolve(exit)
    })
  })
  // What the script wrote last comes after its exit.
  channel.on('close', () => resolve(exit))
  channel.on('error', (error: Error) => ending.fail(error))
  channel.write(script)
  ending.every(timing.keepaliveMs, () => sendNewline(channel))
  return promise
}

/** Where the connection has just gone, ssh2 throws: that is told elsewhere. */
function sendNewline(channel: ClientChannel): void {
  try {
    if (channel.writable) channel.write('\n')
  } catch {}
}

function toResult({ code, signal }: Exit, output: ScriptOutput, where: string): RunScriptOutput {
  const { report, preamble } = output
  if (!output.began) throw notStarted(preamble)
  if (code === undefined) {
    throw new TaskError(
      'connection-lost',
      `${where} closed the session and did not say what the script exited with.`,
    )
  }
  if (code === null) {
    throw new TaskError('script-killed', `The script on ${where} was ended by ${signal}.`)
  }
  if (code !== 0) {
    throw new TaskError('script-failed', `The script on ${where} exited with ${code}.`, {
      retryable: false,
      output: { retcode: code, report },
    })
  }
  return { retcode: code, report }
}

/** The same error with what the script wrote before it. */
function withReport(error: unknown, output: ScriptOutput): unknown {
  if (!(error instanceof TaskError) || error.output !== undefined || !output.began) return error
  const { code, message, retryable, cause } = error
  output.end()
  return new TaskError(code, message, { retryable, cause, output: { report: output.report } })
}

function notStarted(said: string): TaskError {
  if (/^errand-\w+ no-bash$/m.test(said)) {
    return new TaskError('no-bash', 'The host has no bash to run the script with.', {
      retryable: false,
    })
  }
  const words = said === '' ? 'it did not say why' : said.slice(-1_000)
  return new TaskError('script-not-started', `The host did not run the script: ${words}`, {
    retryable: false,
  })
}

function late(ms: number): TaskError {
  return new TaskError('timeout', `The script was ended: it took longer than ${ms} ms (timeout).`)
}
