import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createApp } from '../src/app.ts'
import { answerProbes } from './probe.ts'

/** Errand with the settings that a user gets, and a worker that does nothing. */
const app = await createApp({ workers: [fileURLToPath(new URL('./workers', import.meta.url))] })
await app.listen({ host: '127.0.0.1', port: 0 })
answerProbes((app.server.address() as AddressInfo).port, () => app.close())
