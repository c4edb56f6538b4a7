import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the project. */
export const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** A fenced block of a page. */
export interface Block {
  lang: string
  text: string
  /** Where it opens, counted from 1. */
  line: number
  /** The line after the one that closes it. */
  end: number
}

/** Every Markdown file of the project, by its path from the root. */
export function pages(): string[] {
  return globSync('**/*.md', {
    cwd: root,
    exclude: (path) => /(?:^|\/)(?:node_modules|dist|\.[^/]+)$/.test(path),
  }).sort()
}

export function read(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

/** The fenced blocks of a page, in order. */
export function blocks(page: string): Block[] {
  const found: Block[] = []
  let open: Block | undefined
  for (const [i, line] of read(page).split('\n').entries()) {
    if (!line.startsWith('```')) {
      if (open !== undefined) open.text += `${line}\n`
    } else if (open === undefined) {
      open = { lang: line.slice(3).trim(), text: '', line: i + 1, end: 0 }
    } else {
      found.push({ ...open, end: i + 2 })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block is not closed`)
  return found
}

/** Whether nothing but empty lines stands between two blocks. */
export function isRightAfter(page: string, block: Block, before: Block): boolean {
  const between = read(page)
    .split('\n')
    .slice(before.end - 1, block.line - 1)
  return between.every((line) => line.trim() === '')
}

/** The rows of the first table whose header begins with these cells; cells without their backticks. */
export function table(page: string, ...header: string[]): string[][] {
  const lines = read(page).split('\n')
  const top = lines.findIndex((line) => {
    const row = cells(line)
    return header.every((name, i) => row[i] === name)
  })
  if (top === -1) throw new Error(`${page} has no table that begins with ${header.join(', ')}`)
  const end = lines.findIndex((line, i) => i > top && !line.startsWith('|'))
  return lines.slice(top + 2, end === -1 ? undefined : end).map(cells)
}

function cells(line: string): string[] {
  if (!line.startsWith('|')) return []
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1'))
}
