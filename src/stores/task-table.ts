import { ErrandError } from '../task/errors.ts'
import { STATUSES, type Status } from '../task/lifecycle.ts'
import type { TaskQuery } from '../task/store.ts'
import type { Task } from '../task/task.ts'

/** What the table needs of a task; `row` is the table's own. */
export interface TableTask extends Task {
  row: number
}

export interface TablePage<T> {
  tasks: T[]
  nextCursor?: string
}

const STATUS_BITS = 4
const STATUS_MASK = (1 << STATUS_BITS) - 1
const ANY_STATUS = (1 << STATUSES.length) - 1
/** The key of a row whose task was removed: a status that no query asks for. */
const REMOVED = STATUS_MASK
const FIRST_CAPACITY = 1_024

const statusCode = Object.fromEntries(STATUSES.map((status, code) => [status, code])) as {
  readonly [status in Status]: number
}

/**
 * The tasks of a memory store in the order they came, with what lists filter by held beside them in columns.
 *
 * A page is found by walking the columns from the newest row down: a million rows of typed arrays take about
 * a millisecond, whatever the filter, where an index for each filter would cost every task more memory than
 * its record. Tags and parents are held as hashes and compared in full only where those agree.
 *
 * Ids are found through a hash table of row numbers: a Map of a hundred thousand strings and records, which
 * come and go, costs each task several times as much, most of it in the garbage collector.
 */
export class TaskTable<T extends TableTask> {
  readonly #workers: string[] = []
  readonly #workerCodes = new Map<string, number>()
  readonly #counts: number[][] = []
  #tasks: (T | undefined)[] = []
  #keys = new Uint32Array(FIRST_CAPACITY)
  #sequences = new Float64Array(FIRST_CAPACITY)
  #created = new Float64Array(FIRST_CAPACITY)
  #tags = new Uint32Array(FIRST_CAPACITY)
  #parents = new Uint32Array(FIRST_CAPACITY)
  /** The hash of each task's id. */
  #hashes = new Uint32Array(FIRST_CAPACITY)
  /** Rows by the hash of their task's id: open addressing, each slot a row + 1, 0 where it is free. */
  #index = new Int32Array(FIRST_CAPACITY * 2)
  #length = 0
  #removed = 0
  #nextSequence = 1
  #newest = 0

  /** How many tasks it holds. */
  get size(): number {
    return this.#length - this.#removed
  }

  /** A creation time for the next task: now, but never before that of the task before it. */
  stamp(now: number): number {
    this.#newest = Math.max(this.#newest, now)
    return this.#newest
  }

  get(id: string): T | undefined {
    const mask = this.#index.length - 1
    for (let slot = hash(id) & mask; ; slot = (slot + 1) & mask) {
      const row = (this.#index[slot] as number) - 1
      if (row === -1) return undefined
      const task = this.#tasks[row]
      if (task !== undefined && task.id === id) return task
    }
  }

  append(task: T): void {
    if (this.#length === this.#keys.length) {
      this.#resize(Math.ceil(this.#keys.length * 1.5))
      this.#reindex(this.#keys.length)
    }
    const row = this.#length++
    this.#hashes[row] = hash(task.id)
    this.#link(row)
    const worker = this.#workerCode(task.worker)
    task.row = row
    this.#tasks[row] = task
    this.#keys[row] = (worker << STATUS_BITS) | statusCode[task.status]
    this.#sequences[row] = this.#nextSequence++
    this.#created[row] = task.createdAt
    this.#tags[row] = task.tags === undefined ? 0 : signature(task.tags)
    this.#parents[row] = task.parent === undefined ? 0 : hash(task.parent)
    this.#count(worker, task.status, 1)
  }

  /** Must be called whenever a task's status has changed. */
  moved(task: T, from: Status): void {
    const worker = (this.#keys[task.row] ?? 0) >>> STATUS_BITS
    this.#keys[task.row] = (worker << STATUS_BITS) | statusCode[task.status]
    this.#count(worker, from, -1)
    this.#count(worker, task.status, 1)
  }

  remove(task: T): void {
    const row = task.row
    this.#count((this.#keys[row] ?? 0) >>> STATUS_BITS, task.status, -1)
    this.#tasks[row] = undefined
    this.#keys[row] = REMOVED
    task.row = -1
    this.#removed++
    if (this.#removed > this.size + FIRST_CAPACITY) this.#compact()
  }

  counts(worker: string): { readonly [status in Status]: number } {
    const counts = this.#counts[this.#workerCodes.get(worker) ?? -1]
    return Object.fromEntries(STATUSES.map((status, code) => [status, counts?.[code] ?? 0])) as {
      [status in Status]: number
    }
  }

  count(worker: string, status: Status): number {
    return this.#counts[this.#workerCodes.get(worker) ?? -1]?.[statusCode[status]] ?? 0
  }

  page(query: TaskQuery): TablePage<T> {
    const bottom = query.since === undefined ? 0 : this.#firstAtOrAfter(this.#created, query.since)
    let top =
      query.until === undefined ? this.#length : this.#firstAtOrAfter(this.#created, query.until)
    if (query.cursor !== undefined) {
      top = Math.min(top, this.#firstAtOrAfter(this.#sequences, parseCursor(query.cursor)))
    }
    const found = this.#scan(top, bottom, query, query.limit + 1)
    const last = found[query.limit - 1]
    if (found.length <= query.limit || last === undefined) return { tasks: found }
    found.pop()
    return { tasks: found, nextCursor: toCursor(this.#sequences[last.row] ?? 0) }
  }

  /** The newest tasks below row `top` and from row `bottom` on that fit, at most `limit`. */
  #scan(top: number, bottom: number, query: TaskQuery, limit: number): T[] {
    const found: T[] = []
    const worker = query.worker === undefined ? -1 : this.#workerCodes.get(query.worker)
    if (worker === undefined) return found
    const statuses =
      query.statuses?.reduce((mask, s) => mask | (1 << statusCode[s]), 0) ?? ANY_STATUS
    const tags = query.tag === undefined ? 0 : signature([query.tag])
    const parent = query.parent === undefined ? 0 : hash(query.parent)
    const keys = this.#keys
    for (let row = top - 1; row >= bottom; row--) {
      const key = keys[row] as number
      if (((statuses >>> (key & STATUS_MASK)) & 1) === 0) continue
      if (worker !== -1 && key >>> STATUS_BITS !== worker) continue
      if (tags !== 0 && ((this.#tags[row] as number) & tags) !== tags) continue
      if (parent !== 0 && this.#parents[row] !== parent) continue
      const task = this.#tasks[row]
      if (task === undefined) continue
      if (query.tag !== undefined && !task.tags?.includes(query.tag)) continue
      if (query.parent !== undefined && task.parent !== query.parent) continue
      if (found.push(task) === limit) break
    }
    return found
  }

  /** The first row whose value is at least `value`; the column rises. */
  #firstAtOrAfter(column: Float64Array, value: number): number {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((column[middle] as number) < value) low = middle + 1
      else high = middle
    }
    return low
  }

  #workerCode(worker: string): number {
    const known = this.#workerCodes.get(worker)
    if (known !== undefined) return known
    const code = this.#workers.push(worker) - 1
    this.#workerCodes.set(worker, code)
    this.#counts.push(STATUSES.map(() => 0))
    return code
  }

  #count(worker: number, status: Status, by: number): void {
    const counts = this.#counts[worker]
    if (counts !== undefined) counts[statusCode[status]] = (counts[statusCode[status]] ?? 0) + by
  }

  /** A removed row keeps its slot until the next compaction: the probes of others may lead through it. */
  #link(row: number): void {
    const mask = this.#index.length - 1
    let slot = (this.#hashes[row] as number) & mask
    while (this.#index[slot] !== 0) slot = (slot + 1) & mask
    this.#index[slot] = row + 1
  }

  /** At most half full, so that probes stay short. */
  #reindex(capacity: number): void {
    const size = 2 ** Math.ceil(Math.log2(capacity * 2))
    if (this.#index.length === size) this.#index.fill(0)
    else this.#index = new Int32Array(size)
    for (let row = 0; row < this.#length; row++) {
      if (this.#keys[row] !== REMOVED) this.#link(row)
    }
  }

  #resize(capacity: number): void {
    this.#keys = resized(this.#keys, new Uint32Array(capacity))
    this.#sequences = resized(this.#sequences, new Float64Array(capacity))
    this.#created = resized(this.#created, new Float64Array(capacity))
    this.#tags = resized(this.#tags, new Uint32Array(capacity))
    this.#parents = resized(this.#parents, new Uint32Array(capacity))
    this.#hashes = resized(this.#hashes, new Uint32Array(capacity))
  }

  /** Closes the gaps that removed rows have left, in place. */
  #compact(): void {
    let row = 0
    for (let from = 0; from < this.#length; from++) {
      const task = this.#tasks[from]
      if (task === undefined) continue
      if (row !== from) {
        task.row = row
        this.#tasks[row] = task
        this.#keys[row] = this.#keys[from] as number
        this.#sequences[row] = this.#sequences[from] as number
        this.#created[row] = this.#created[from] as number
        this.#tags[row] = this.#tags[from] as number
        this.#parents[row] = this.#parents[from] as number
        this.#hashes[row] = this.#hashes[from] as number
      }
      row++
    }
    this.#tasks.length = row
    this.#length = row
    this.#removed = 0
    if (row * 4 < this.#keys.length) this.#resize(Math.max(FIRST_CAPACITY, row * 2))
    this.#reindex(this.#keys.length)
  }
}

function resized<A extends Uint32Array | Float64Array>(from: A, to: A): A {
  to.set(from.subarray(0, to.length))
  return to
}

/** FNV-1a, 32 bits, never 0: 0 stands for none. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0 || 1
}

/**
 * Four bits of 32 for each tag, as in a Bloom filter: a row without them all has not all of the tags. With
 * more than half a dozen tags on most tasks it tells little, and lists by tag compare more tasks in full.
 */
function signature(tags: readonly string[]): number {
  let bits = 0
  for (const tag of tags) {
    const h = hash(tag)
    bits |=
      (1 << (h & 31)) |
      (1 << ((h >>> 5) & 31)) |
      (1 << ((h >>> 10) & 31)) |
      (1 << ((h >>> 15) & 31))
  }
  return bits
}

function toCursor(sequence: number): string {
  return Buffer.from(`m:${sequence.toString(36)}`).toString('base64url')
}

function parseCursor(cursor: string): number {
  const match = /^m:([0-9a-z]{1,11})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))
  if (match?.[1] === undefined) {
    throw new ErrandError(
      'invalid-cursor',
      'The cursor is not one that this list gave: leave it out to begin at the newest task.',
    )
  }
  return Number.parseInt(match[1], 36)
}
