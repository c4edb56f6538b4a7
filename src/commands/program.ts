import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'

/** The file that a program's name stands for, absolute; undefined where there is none that may be executed. */
export function findProgram(name: string, cwd: string, path: string): string | undefined {
  if (name === '') return undefined
  if (name.includes('/')) return executable(resolve(cwd, name))
  for (const folder of path.split(delimiter)) {
    const found = executable(resolve(cwd, folder, name))
    if (found !== undefined) return found
  }
  return undefined
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function executable(file: string): string | undefined {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile() ? file : undefined
  } catch {
    return undefined
  }
}
