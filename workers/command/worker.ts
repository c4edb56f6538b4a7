import { Type } from 'typebox'
import { type AnyWorker, TaskError, type TaskLogger } from '../../src/task/worker.ts'
import { Capture } from './capture.ts'
import type { Command } from './command.ts'
import { LineLog } from './line-log.ts'
import { type Exit, type Launch, runProgram } from './run.ts'
import { type Input, render } from './template.ts'
import { argumentsOf, variablesOf } from './words.ts'

/** Characters of a program's last words that a message shows. */
const MAX_LAST_WORDS = 500

/** A worker that runs a program, as a definition has it. */
export function commandWorker(name: string, command: Command): AnyWorker {
  const inherited = environmentOf(command.inherited)
  const { description, input, example, maxNumTasks, timeout, retry } = command
  return {
    name,
    details: {
      description,
      ...(input !== undefined && { input }),
      output: outputSchema(command.output),
      ...(example !== undefined && { example }),
    },
    ...(maxNumTasks !== undefined && { maxNumTasks }),
    ...(timeout !== undefined && { timeout }),
    ...(retry !== undefined && { retry }),
    async perform(given: Input, task) {
      const launch = launchOf(command, inherited, given)
      const printed = new Printed(command.maxOutput, task.log)
      try {
        const exit = await runProgram(launch, printed, task.signal)
        return resultOf(command, exit, printed)
      } finally {
        printed.end()
      }
    },
  }
}

/** What a program prints: kept within its bounds, and logged. */
class Printed {
  readonly output: Capture
  readonly errors: Capture
  readonly #outputLog: LineLog
  readonly #errorLog: LineLog

  constructor(maxOutput: number, log: TaskLogger) {
    this.output = new Capture(maxOutput)
    this.errors = new Capture(maxOutput)
    this.#outputLog = new LineLog((line) => log.info(line))
    this.#errorLog = new LineLog((line) => log.warn(line))
  }

  readonly stdout = (chunk: Buffer): void => {
    this.output.add(chunk)
    this.#outputLog.add(chunk)
  }

  readonly stderr = (chunk: Buffer): void => {
    this.errors.add(chunk)
    this.#errorLog.add(chunk)
  }

  end(): void {
    this.#outputLog.end()
    this.#errorLog.end()
  }
}

function environmentOf(names: readonly string[]): { [name: string]: string } {
  const found: { [name: string]: string } = {}
  for (const name of names) {
    const value = process.env[name]
    if (value !== undefined) found[name] = value
  }
  return found
}

function launchOf(
  command: Command,
  inherited: { readonly [name: string]: string },
  input: Input,
): Launch {
  return {
    file: command.file,
    program: command.program,
    args: argumentsOf(command.words, input),
    env: { ...inherited, ...variablesOf(command.variables, input) },
    cwd: command.cwd,
    stdin: stdinOf(command, input),
    killAfter: command.killAfter,
  }
}

function stdinOf({ stdin }: Command, input: Input): string | undefined {
  if (stdin === 'none') return undefined
  return stdin === 'json' ? JSON.stringify(input) : render(stdin, input)
}

function resultOf(command: Command, exit: Exit, printed: Printed) {
  const { output, errors } = printed
  const text = output.text()
  const stderr = errors.text()
  const truncated =
    output.dropped + errors.dropped === 0
      ? undefined
      : { output: output.dropped, stderr: errors.dropped }
  const shown = (value: unknown) => ({
    ...exit,
    output: value,
    stderr,
    ...(truncated && { truncated }),
  })
  const hasSucceeded = 'exitCode' in exit && command.success.includes(exit.exitCode)
  try {
    const result = shown(parsed(command.output, text))
    if (hasSucceeded) return result
    throw failed(command, exit, stderr, result)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    if (!hasSucceeded) throw failed(command, exit, stderr, shown(text))
    const why = output.dropped > 0 ? `${output.dropped} bytes of it were left out` : error.message
    throw new TaskError(
      'output-not-json',
      `${command.subject} ended well, but what it printed is no JSON: ${why}.`,
      { retryable: false, output: shown(text) },
    )
  }
}

/** @throws SyntaxError where it must be JSON and is not */
function parsed(form: Command['output'], text: string): unknown {
  if (form === 'text') return text
  if (form === 'json') return JSON.parse(text)
  const lines = text.split(/\r?\n/)
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

function failed({ subject }: Command, exit: Exit, stderr: string, output: unknown): TaskError {
  const how = 'signal' in exit ? `was ended by ${exit.signal}` : `exited with ${exit.exitCode}`
  const lastWords = stderr.trimEnd().split('\n').at(-1)?.slice(0, MAX_LAST_WORDS) ?? ''
  const why = lastWords === '' ? '' : `: ${lastWords}`
  return new TaskError('command-failed', `${subject} ${how}${why}`, { output })
}

function outputSchema(form: Command['output']) {
  const note = 'what was left out of the middle is said there'
  const output = {
    text: Type.String({ description: `Its standard output; ${note}` }),
    lines: Type.Array(Type.String(), { description: `Its standard output, by line; ${note}` }),
    json: Type.Unknown({ description: 'Its standard output, which is JSON' }),
  }[form]
  return Type.Object({
    exitCode: Type.Optional(
      Type.Integer({
        description: 'What the program exited with; missing where a signal ended it',
      }),
    ),
    signal: Type.Optional(Type.String({ description: 'The signal that ended it' })),
    output,
    stderr: Type.String({ description: 'Its standard error' }),
    truncated: Type.Optional(
      Type.Object(
        { output: Type.Integer(), stderr: Type.Integer() },
        { description: 'Bytes left out of each, where any were' },
      ),
    ),
  })
}
