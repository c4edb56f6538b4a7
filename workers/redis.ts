import { defineWorker } from '../src/task/worker.ts'
import { Input, Output } from './redis/schema.ts'

export default defineWorker({
  name: 'redis',
  details: {
    description:
      'Performs one command on a Redis server, on a connection of its own, and answers with its reply. The command is sent once: never again after a lost connection.',
    input: Input,
    output: Output,
    example: { host: 'localhost', command: 'set', args: ['greeting', 'hello'] },
  },
  maxNumTasks: 20,
  async perform(input, task) {
    const { exchange } = await import('./redis/exchange.ts')
    return { result: await exchange(input, task) }
  },
})
