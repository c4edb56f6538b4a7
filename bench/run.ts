import { benchHttp } from './http.ts'
import { canPin } from './server-process.ts'

process.stdout.write(
  `Node ${process.version}, ${process.platform} ${process.arch}, ${canPin ? 'one core each for server and load' : 'not pinned'}\n\n`,
)
await benchHttp()
