import { StringDecoder } from 'node:string_decoder'
import type { TaskLogger } from '../../src/task/worker.ts'
import { Report } from './report.ts'

/** The longest line that goes to the log whole, in characters. */
const MAX_LINE = 4_096
/** How much of what comes before the script is kept, in bytes. */
const MAX_PREAMBLE = 65_536
/** Lines that go to the log in one second; a task keeps no more than its latest thousand. */
const LINES_A_SECOND = 1_000

/** What comes from the other side: first what its login shell has to say, and from the marker on the script's. */
export class ScriptOutput {
  readonly #marker: Buffer
  readonly #log: TaskLogger
  readonly #isTrace: RegExp | undefined
  readonly #decoder = new StringDecoder('utf8')
  readonly #report = new Report()
  #preamble: Buffer = Buffer.alloc(0)
  #began = false
  #line = ''
  #lineIsCut = false
  #second = 0
  #linesInSecond = 0
  #unlogged = 0

  /** @param isDebugging whether lines that begin with `+` are those of `bash -x` */
  constructor(marker: string, log: TaskLogger, isDebugging: boolean) {
    this.#marker = Buffer.from(`${marker}\n`)
    this.#log = log
    this.#isTrace = isDebugging ? /^\++ / : undefined
  }

  /** Whether the script was begun. */
  get began(): boolean {
    return this.#began
  }

  /** What the other side said before the script, its end where that was much. */
  get preamble(): string {
    return this.#preamble.toString('utf8').trim()
  }

  /** What the script wrote so far. */
  get report(): string {
    return this.#report.toString()
  }

  /** Takes in a part of stdout. */
  add(part: Buffer): void {
    if (this.#began) return this.#take(this.#decoder.write(part))
    const all = Buffer.concat([this.#preamble, part])
    const at = all.indexOf(this.#marker)
    this.#preamble = all.subarray(at === -1 ? -MAX_PREAMBLE : 0, at === -1 ? undefined : at)
    if (at === -1) return
    this.#began = true
    if (this.#preamble.length > 0) {
      this.#log.debug(`The login shell said: ${this.preamble.slice(0, MAX_LINE)}`)
    }
    this.#take(this.#decoder.write(all.subarray(at + this.#marker.length)))
  }

  /** Takes in a part of stderr: that of the script comes with its stdout, so this is not the script's. */
  addError(part: Buffer): void {
    if (!this.#began) this.#preamble = Buffer.concat([this.#preamble, part]).subarray(-MAX_PREAMBLE)
  }

  /** Says that no more comes. */
  end(): void {
    this.#take(this.#decoder.end())
    if (this.#line !== '') this.#logLine()
    this.#tellUnlogged()
  }

  #take(text: string): void {
    if (text === '') return
    this.#report.add(text)
    let from = 0
    for (let to = text.indexOf('\n'); to !== -1; to = text.indexOf('\n', from)) {
      this.#extendLine(text, from, to)
      this.#logLine()
      from = to + 1
    }
    this.#extendLine(text, from, text.length)
  }

  #extendLine(text: string, from: number, to: number): void {
    const room = MAX_LINE - this.#line.length
    this.#lineIsCut ||= to - from > room
    this.#line += text.slice(from, Math.min(to, from + room))
  }

  #logLine(): void {
    const line = this.#lineIsCut ? `${this.#line}…` : this.#line.replace(/\r$/, '')
    this.#line = ''
    this.#lineIsCut = false
    const second = Math.floor(performance.now() / 1_000)
    if (second !== this.#second) {
      this.#tellUnlogged()
      this.#second = second
      this.#linesInSecond = 0
    }
    if (++this.#linesInSecond > LINES_A_SECOND) this.#unlogged++
    else if (this.#isTrace?.test(line)) this.#log.debug(line)
    else this.#log.info(line)
  }

  #tellUnlogged(): void {
    if (this.#unlogged === 0) return
    this.#log.warn(`${this.#unlogged} lines that came too fast are in the report alone`)
    this.#unlogged = 0
  }
}
