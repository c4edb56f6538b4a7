import { readFile } from 'node:fs/promises'
import {
  type Document,
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml'
import { ErrandError } from '../task/errors.ts'

/** The way to a value: the keys and indexes that lead there. */
export type Path = readonly (string | number)[]

/** A YAML file that knows where in it each value stands. */
export class CommandsFile {
  /** Absolute. */
  readonly path: string
  readonly #document: Document.Parsed
  readonly #lines: LineCounter

  private constructor(path: string, document: Document.Parsed, lines: LineCounter) {
    this.path = path
    this.#document = document
    this.#lines = lines
  }

  /** @throws {@link ErrandError} `invalid-worker` where it cannot be read or is no YAML */
  static async read(path: string): Promise<CommandsFile> {
    const lines = new LineCounter()
    const document = parseDocument(await textOf(path), {
      lineCounter: lines,
      prettyErrors: false,
      // What it would warn of is refused a moment later, with its place.
      logLevel: 'error',
      version: '1.2',
    })
    const file = new CommandsFile(path, document, lines)
    const [error] = [...document.errors, ...document.warnings]
    if (error !== undefined) throw file.#faultAt(error.pos[0], `no valid YAML: ${error.message}`)
    return file
  }

  /** @throws {@link ErrandError} `invalid-worker` where an alias leads nowhere or too far */
  value(): unknown {
    try {
      return this.#document.toJS()
    } catch (error) {
      throw this.#faultAt(
        this.#lostAlias(),
        `no valid YAML: ${error instanceof Error ? error.message : error}`,
      )
    }
  }

  /** `FILE:LINE:COLUMN` of a value, or of its key. */
  place(path: Path, of: 'key' | 'value' = 'value'): string {
    return this.#placeAt(this.#offsetOf(path, of))
  }

  fault(path: Path, fault: string, of: 'key' | 'value' = 'value'): ErrandError {
    const name = path.length === 0 ? 'it' : path.join('.')
    return this.#faultAt(this.#offsetOf(path, of), `${name} ${fault}`)
  }

  #faultAt(offset: number, fault: string): ErrandError {
    return new ErrandError('invalid-worker', `${this.#placeAt(offset)}: ${fault}.`)
  }

  /** Where the first alias stands that leads nowhere. */
  #lostAlias(): number {
    let offset = 0
    visit(this.#document, {
      Alias: (_key, alias) => {
        if (alias.resolve(this.#document) !== undefined) return undefined
        offset = alias.range?.[0] ?? 0
        return visit.BREAK
      },
    })
    return offset
  }

  #placeAt(offset: number): string {
    const { line, col } = this.#lines.linePos(offset)
    return `${this.path}:${line}:${col}`
  }

  #offsetOf(path: Path, of: 'key' | 'value'): number {
    const parent = this.#nodeAt(path.slice(0, -1))
    const key = path.at(-1)
    const node = of === 'key' && key !== undefined ? keyNode(parent, key) : this.#nodeAt(path)
    return (node ?? parent)?.range?.[0] ?? 0
  }

  /** The node that a path leads to, or the last one on the way. */
  #nodeAt(path: Path): Node | undefined {
    let node: Node | undefined = this.#document.contents ?? undefined
    for (const key of path) {
      const next: unknown = isCollection(node) ? node.get(key, true) : undefined
      if (!isNode(next)) return node
      node = next
    }
    return node
  }
}

function keyNode(parent: Node | undefined, key: string | number): Node | undefined {
  if (!isMap(parent)) return undefined
  const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key)
  return isNode(pair?.key) ? pair.key : undefined
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const reason =
      code === 'ENOENT'
        ? 'does not exist'
        : `cannot be read: ${error instanceof Error ? error.message : error}`
    throw new ErrandError(
      'invalid-worker',
      `The setting commands (ERRAND_COMMANDS) names ${path}, which ${reason}.`,
    )
  }
}
