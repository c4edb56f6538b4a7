import { benchCommand } from './command.ts'
import { benchHttp } from './http.ts'
import { benchMemory } from './memory.ts'
import { benchPages } from './pages.ts'
import { benchRest } from './rest.ts'
import { canPin } from './server-process.ts'
import { benchStart } from './start.ts'

const all = {
  start: benchStart,
  http: benchHttp,
  memory: benchMemory,
  pages: benchPages,
  command: benchCommand,
  rest: benchRest,
}
const asked = process.argv.slice(2)
const pinned = canPin ? 'server and load on one core each' : 'not pinned'
process.stdout.write(`Node ${process.version}, ${process.platform} ${process.arch}, ${pinned}\n\n`)
for (const [name, bench] of Object.entries(all)) {
  if (asked.length === 0 || asked.includes(name)) await bench()
}
