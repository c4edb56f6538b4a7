import { resolve } from 'node:path'
import { commandWorker } from '../../workers/command/worker.ts'
import type { AnyWorker } from '../task/worker.ts'
import { parseDefinition } from './definition.ts'
import { CommandsFile } from './file.ts'
import { Members } from './members.ts'

/** Workers that a file declares. */
export interface Commands {
  /** Each with where it stands: `FILE:LINE:COLUMN`. */
  readonly workers: readonly { readonly worker: AnyWorker; readonly source: string }[]
  /** What their author should think about again. */
  readonly warnings: readonly string[]
}

/**
 * Reads a YAML file of workers that run programs.
 *
 * @throws {@link ErrandError} `invalid-worker`, with the place and the fault
 */
export async function readCommands(path: string): Promise<Commands> {
  const file = await CommandsFile.read(resolve(path))
  const top = new Members(file, [], file.value(), 'a map: workers, by their names')
  top.allow(['workers'])
  const workers = new Members(file, ['workers'], top.get('workers'), 'a map of workers by name')
  const definitions = workers.names.map((name) => {
    const at = ['workers', name]
    const { command, warnings } = parseDefinition(file, at, workers.get(name))
    return { worker: commandWorker(name, command), source: file.place(at, 'key'), warnings }
  })
  return { workers: definitions, warnings: definitions.flatMap(({ warnings }) => warnings) }
}
