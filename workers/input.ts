import { Type } from 'typebox'
import { ANSWER_TYPES } from '../src/task/task.ts'
import { defineWorker, TaskError } from '../src/task/worker.ts'

const MS_PER_MINUTE = 60_000

/** Asks a person, and completes with the answer. It waits without a slot, for weeks if need be. */
export default defineWorker({
  name: 'input',
  details: {
    description: 'Ask a person and wait for the answer, which POST /tasks/{id}/respond gives',
    input: Type.Object({
      request: Type.String({ minLength: 1, maxLength: 65_536, description: 'What to ask' }),
      reference: Type.String({
        default: '',
        maxLength: 65_536,
        description: 'Yours: given back with the answer',
      }),
      timeout: Type.Number({
        default: 0,
        maximum: 52_560_000,
        description: 'Minutes in which to answer, fractions allowed; 0 or less: no limit',
      }),
      type: Type.Unsafe<(typeof ANSWER_TYPES)[number]>({
        type: 'string',
        enum: [...ANSWER_TYPES],
        default: 'text',
        description: 'What the answer must be',
      }),
    }),
    output: Type.Object({
      response: Type.Unsafe<unknown>({ description: 'The answer: text, or what type asks for' }),
      reference: Type.String(),
    }),
    example: {
      request: 'May the release go out?',
      reference: 'release-17',
      timeout: 60,
      type: 'text',
    },
  },
  maxNumTasks: 1_000,
  perform({ request, reference, timeout, type }, task) {
    return task.suspend({
      request,
      reference,
      type,
      ...(timeout > 0 && { within: timeout * MS_PER_MINUTE }),
      expired: { code: 'input-expired', message: 'input request expired' },
    })
  },
  respond(answer, { reference, type }) {
    return { response: parseAnswer(answer, type), reference }
  },
})

/** The answer as its type, which a form or a command line can give as text. */
function parseAnswer(answer: unknown, type: (typeof ANSWER_TYPES)[number]): unknown {
  if (type === 'json') return answer
  if (type === 'text' && typeof answer === 'string') return answer
  if (type === 'number') {
    const number = typeof answer === 'string' && answer.trim() !== '' ? Number(answer) : answer
    if (typeof number === 'number' && Number.isFinite(number)) return number
  }
  if (type === 'boolean') {
    if (typeof answer === 'boolean') return answer
    if (answer === 'true' || answer === 'false') return answer === 'true'
  }
  throw new TaskError('invalid-answer', `The answer must be ${EXPECTED[type]}`)
}

const EXPECTED = {
  text: 'text',
  number: 'a number',
  boolean: 'true or false',
  json: 'any JSON value',
} as const
