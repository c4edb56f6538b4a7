import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** How often it is asked whether a group is gone, in milliseconds: often at first. */
const ASK_FIRST_MS = 5
const ASK_LAST_MS = 100

const living = new Set<ProcessGroup>()

/** However this process ends, as long as it can still do anything, what it has started ends with it. */
function killAll(): void {
  for (const group of living) group.signal('SIGKILL')
}

/** A program and all that it has started, unless that has left its group. */
export class ProcessGroup {
  readonly #id: number
  #killer: NodeJS.Timeout | undefined
  #killAt = Number.POSITIVE_INFINITY
  #isGone = false

  /** @param id that of the process that leads the group */
  constructor(id: number) {
    this.#id = id
    if (living.size === 0) process.on('exit', killAll)
    living.add(this)
  }

  /** Whether there is a process for the signal; 0 only asks. */
  signal(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-this.#id, signal)
    } catch (error) {
      // EPERM: there is one, of another user.
      return error instanceof Error && 'code' in error && error.code === 'EPERM'
    }
  }

  /** Asks the group to end, and ends it after `killAfter` milliseconds; asked twice, the sooner counts. */
  end(killAfter: number): void {
    // Its number may be another's by now.
    if (this.#isGone) return
    if (this.#killAt === Number.POSITIVE_INFINITY) this.signal('SIGTERM')
    const killAt = performance.now() + killAfter
    if (killAt >= this.#killAt) return
    this.#killAt = killAt
    clearTimeout(this.#killer)
    this.#killer = setTimeout(() => this.signal('SIGKILL'), killAfter)
  }

  /**
   * Resolves once no process of the group lives, and lets go of everything. To be called when the leader has
   * exited; its number stays the group's, and nobody else's, as long as there is one in it.
   */
  async gone(): Promise<void> {
    for (let wait = ASK_FIRST_MS; await this.#isAlive(); wait = Math.min(wait * 2, ASK_LAST_MS)) {
      await sleep(wait)
    }
    this.#isGone = true
    clearTimeout(this.#killer)
    living.delete(this)
    if (living.size === 0) process.off('exit', killAll)
  }

  #isAlive(): boolean | Promise<boolean> {
    if (!this.signal(0)) return false
    // One that has ended counts as there until somebody has asked how: nobody may, where init is missing.
    return process.platform === 'linux' ? hasLiving(this.#id) : true
  }
}

/** Whether a process of the group is neither dead nor a zombie. Where that cannot be read, one may be. */
async function hasLiving(group: number): Promise<boolean> {
  try {
    for (const pid of await readdir('/proc')) {
      if (/^\d+$/.test(pid) && (await isLivingIn(group, pid))) return true
    }
    return false
  } catch {
    return true
  }
}

async function isLivingIn(group: number, pid: string): Promise<boolean> {
  const stat = await statOf(pid)
  // The name stands in parentheses, and may hold some.
  const [state = '', , groupOf] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(groupOf) === group && !'ZX'.includes(state)
}

async function statOf(pid: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/stat`, 'latin1')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // It has ended since.
    if (code === 'ENOENT' || code === 'ESRCH') return ''
    throw error
  }
}
