import { existsSync } from 'node:fs'
import { TaskError } from '../../src/task/worker.ts'

interface Kind {
  code: string
  what: string
  retryable: boolean
}

const BUSY: Kind = {
  code: 'no-resources',
  what: 'the system has no room for another process: lower maxNumTasks, or raise its limits',
  retryable: true,
}
const NOT_EXECUTABLE: Kind = {
  code: 'command-not-executable',
  what: 'the server may not execute it',
  retryable: false,
}
const KINDS: { readonly [code: string]: Kind } = {
  ENOENT: {
    code: 'command-not-found',
    what: 'it, or the interpreter that its first line names, is no longer there',
    retryable: false,
  },
  EACCES: NOT_EXECUTABLE,
  EPERM: NOT_EXECUTABLE,
  ENOEXEC: NOT_EXECUTABLE,
  E2BIG: {
    code: 'input-too-large',
    what: 'its arguments and variables are longer than the system takes: let it read the value from stdin',
    retryable: false,
  },
  EAGAIN: BUSY,
  ENOMEM: BUSY,
  EMFILE: BUSY,
  ENFILE: BUSY,
}

/** What is thrown where a program could not be started, with a stable code. */
export function startError(
  error: unknown,
  { program, cwd }: { readonly program: string; readonly cwd: string },
): TaskError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // The system says of both alike that there is no such file.
  if (code === 'ENOENT' && !existsSync(cwd)) {
    return new TaskError(
      'folder-not-found',
      `${program} was not started: its folder ${cwd} is no longer there.`,
      { retryable: false, cause: error },
    )
  }
  const {
    code: kind,
    what,
    retryable,
  } = KINDS[code] ?? {
    code: 'command-not-started',
    what: error instanceof Error ? error.message : String(error),
    retryable: true,
  }
  const symbol = KINDS[code] === undefined ? '' : ` (${code})`
  return new TaskError(kind, `${program} was not started: ${what}${symbol}.`, {
    retryable,
    cause: error,
  })
}
