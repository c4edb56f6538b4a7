import { globSync } from 'node:fs'
import { basename, join } from 'node:path'

/** The names of the built-in workers, by their files. */
export const BUILTINS: readonly string[] = globSync('*.ts', {
  cwd: join(import.meta.dirname, '../workers'),
})
  .map((file) => basename(file, '.ts'))
  .sort()
