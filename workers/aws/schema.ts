import { NormalizedSchema } from '@smithy/core/schema'
import { TaskError } from '../../src/task/worker.ts'
import type { AwsCommand } from './service.ts'

type SchemaRef = Parameters<typeof NormalizedSchema.of>[0]

/** Where the schema of an operation has those of its input and its output. */
const INPUT = 4
const OUTPUT = 5
/** Where the schema of a structure says how many of its members must be there; they stand first. */
const NAMES = 4
const NUM_REQUIRED = 6

export function inputOf(command: AwsCommand): NormalizedSchema {
  return schemaAt(command, INPUT)
}

export function outputOf(command: AwsCommand): NormalizedSchema {
  return schemaAt(command, OUTPUT)
}

/** The members of a structure that must be there. */
export function requiredOf(schema: NormalizedSchema): string[] {
  const structure: unknown = schema.getSchema()
  if (!Array.isArray(structure)) return []
  const [names, count]: unknown[] = [structure[NAMES], structure[NUM_REQUIRED]]
  if (!Array.isArray(names) || typeof count !== 'number') return []
  return names.slice(0, count).map(String)
}

/** Whether a member is the whole body of a request or an answer, such as `Body` of S3. */
export function isBody(schema: NormalizedSchema): boolean {
  return (
    schema.isBlobSchema() && (schema.isStreaming() || isSet(schema.getMergedTraits().httpPayload))
  )
}

/** Whether a member is a stream of events. */
export function isEventStream(schema: NormalizedSchema): boolean {
  return schema.isStructSchema() && schema.isStreaming()
}

function isSet(trait: unknown): boolean {
  return trait !== undefined && trait !== 0
}

function schemaAt(command: AwsCommand, index: number): NormalizedSchema {
  const operation = command.schema
  if (!Array.isArray(operation) || operation.length <= index) {
    throw new TaskError(
      'client-not-installed',
      'The package of this client is too old to say what it takes: install a newer one.',
      { retryable: false },
    )
  }
  // What stands there is made by the SDK, and of no type that it exports.
  return NormalizedSchema.of(operation[index] as SchemaRef)
}
