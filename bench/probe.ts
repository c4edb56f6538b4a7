/** What a server in a benchmark says of itself when it is asked. */
export interface Probe {
  port: number
  /** User and system time of the process so far, in microseconds. */
  cpuMicros: number
  /** Resident memory, in bytes. */
  rss: number
}

/** Tells the parent process the port, and answers each of its messages with a {@link Probe}. */
export function answerProbes(port: number, close: () => void): void {
  const probe = (): Probe => {
    const { user, system } = process.cpuUsage()
    return { port, cpuMicros: user + system, rss: process.memoryUsage().rss }
  }
  process.on('message', (message) => {
    if (message === 'close') {
      close()
      process.disconnect?.()
    } else {
      process.send?.(probe())
    }
  })
  process.send?.(probe())
}
