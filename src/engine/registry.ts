import type { ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { ErrandError } from '../task/errors.ts'
import { type Json, NotJson, toJson } from '../task/json.ts'
import { nearest } from '../task/nearest.ts'
import { once } from '../task/once.ts'
import type { RetryPolicy } from '../task/task.ts'
import type { AnyWorker } from '../task/worker.ts'
import { describe, toFaults } from './faults.ts'
import { withOptionalDefaults, withPrefixItems } from './json-schema.ts'
import { schemaFault } from './schema-fault.ts'
import { SecretFields } from './secret-fields.ts'
import { acceptingSecretRefs, badSecretName, hasSecretRef } from './secret-refs.ts'
import { closed, invalid, parseDefinition, type Schema } from './worker-definition.ts'

/** Tasks performed at once by a worker that does not say. */
const DEFAULT_MAX_TASKS = 10
const DEFAULT_RETRY: RetryPolicy = {
  retries: 0,
  delayMs: 1_000,
  factor: 2,
  maxDelayMs: 60_000,
  jitter: 0.5,
}

/** A worker that was checked and can be performed. */
export interface RegisteredWorker {
  readonly name: string
  readonly description: string
  /** The input's schema, closed: see {@link closed}. */
  readonly input: Schema
  readonly output: Schema
  /** The members of its input that are never shown, where it has any. */
  readonly secrets: SecretFields | undefined
  readonly example: unknown
  readonly timeout: number | undefined
  readonly retry: RetryPolicy
  readonly definition: AnyWorker
  /** Whether only Errand itself submits to it. */
  readonly isInternal: boolean
  /** The URL of the module that default-exports it, where it came from a file. */
  readonly module: string | undefined
  maxNumTasks: number
  enabled: boolean
}

/** The workers of this process, by name, with their schemas compiled. */
export class Registry {
  readonly #workers = new Map<string, Entry>()
  readonly #ajv = newAjv()
  /** Compiles schemas that take references to secrets: two of one `$id` cannot stand side by side. */
  readonly #ajvOfRefs = once(newAjv)

  /**
   * Checks a definition and takes it in.
   *
   * @param source what to name in errors: the file, or `worker NAME`
   * @throws {@link ErrandError} `invalid-worker`
   */
  add(definition: unknown, source: string, origin: WorkerOrigin = {}): RegisteredWorker {
    const worker = parseDefinition(definition, source)
    const { module } = origin
    if (worker.isolate === 'thread' && module === undefined) {
      throw invalid(
        source,
        "isolate: 'thread' needs the worker to be loaded from a file of its own",
      )
    }
    const taken = this.#workers.get(worker.name)
    if (taken !== undefined) {
      throw invalid(source, `the name ${JSON.stringify(worker.name)} is taken by ${taken.source}`)
    }
    const given = toSchema(worker.details.input ?? { type: 'object', properties: {} })
    const input = closed(withDefaultsOptional(given))
    const output = toSchema(worker.details.output ?? {})
    const entry: Entry = {
      source,
      checkInput: once(() => this.#ajv.compile(input)),
      checkInputOfRefs: once(() =>
        this.#ajvOfRefs().compile(acceptingSecretRefs(toJson(input)) as Schema),
      ),
      checkOutput: once(() => this.#ajv.compile(output)),
      worker: {
        name: worker.name,
        description: worker.details.description,
        input,
        output,
        secrets: SecretFields.of(jsonOf(input) ?? {}),
        example: worker.details.example,
        timeout: worker.timeout,
        retry: { ...DEFAULT_RETRY, ...worker.retry },
        definition: worker,
        isInternal: origin.isInternal === true,
        module,
        maxNumTasks: worker.maxNumTasks ?? DEFAULT_MAX_TASKS,
        enabled: true,
      },
    }
    if (origin.isBuiltin !== true) this.#checkSchemas(entry)
    this.#workers.set(worker.name, entry)
    return entry.worker
  }

  has(name: string): boolean {
    return this.#workers.has(name)
  }

  /** @throws {@link ErrandError} `unknown-worker`, naming the nearest */
  get(name: string): RegisteredWorker {
    return this.#entry(name).worker
  }

  /** Every worker, by name. */
  list(): RegisteredWorker[] {
    return [...this.#workers.values()]
      .map((entry) => entry.worker)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * A worker's input from whatever a submitter sent: a copy, with the schema's defaults filled in.
   *
   * @throws {@link ErrandError} `invalid-input`, with the member at fault
   */
  parseInput(name: string, value: unknown): Json {
    const entry = this.#entry(name)
    const check = entry.checkInput()
    // A submit without a body is one with an empty object, where that is an input.
    const input = value === undefined && check({}) ? {} : inputToJson(value, name)
    const refers = hasSecretRef(input)
    const bad = refers ? badSecretName(input) : undefined
    if (bad !== undefined) {
      const named = JSON.stringify(bad.slice(0, 64))
      throw new ErrandError(
        'invalid-input',
        `The input of worker ${name} is refused: ${named} is no name of a secret.`,
      )
    }
    const checkThis = refers ? entry.checkInputOfRefs() : check
    if (checkThis(input)) return input
    const faults = toFaults(checkThis)
    throw new ErrandError(
      'invalid-input',
      `The input of worker ${name} is refused: ${describe(faults)}.`,
      { faults },
    )
  }

  /** Why an input whose references were resolved does not fit, or undefined where it does. */
  inputFault(name: string, input: Json): string | undefined {
    const check = this.#entry(name).checkInput()
    return check(input) ? undefined : describe(toFaults(check))
  }

  /** Whether an empty object is an input, and so a submit may leave it out. */
  isInputOptional(name: string): boolean {
    const { input } = this.#entry(name).worker
    return (
      input.type === 'object' && (!Array.isArray(input.required) || input.required.length === 0)
    )
  }

  /** Why an output does not fit its worker's schema, or undefined where it does. */
  outputFault(name: string, output: Json): string | undefined {
    const check = this.#entry(name).checkOutput()
    return check(output) ? undefined : describe(toFaults(check))
  }

  #entry(name: string): Entry {
    const entry = this.#workers.get(name)
    if (entry === undefined) throw unknownWorker(name, [...this.#workers.keys()])
    return entry
  }

  /** @throws {@link ErrandError} `invalid-worker` where a schema is none, or the example does not fit its own */
  #checkSchemas({ worker, checkInput, source }: Entry): void {
    for (const member of ['input', 'output'] as const) {
      const fault = schemaFault(this.#ajv, worker[member])
      if (fault !== undefined) {
        throw invalid(source, `details.${member} is no valid JSON Schema: ${fault}`)
      }
    }
    checkExample(worker.example, checkInput(), source)
  }
}

function withDefaultsOptional(schema: Schema): Schema {
  const json = jsonOf(schema)
  return json === undefined ? schema : (withOptionalDefaults(json) as Schema)
}

/** As the validator takes it. What cannot be JSON stays, and is refused further on, with its place. */
function toSchema(schema: Schema): Schema {
  const json = jsonOf(schema)
  const normal = json && withPrefixItems(json)
  return normal === json ? schema : (normal as Schema)
}

function jsonOf(schema: Schema): Json | undefined {
  try {
    return toJson(schema)
  } catch (error) {
    if (error instanceof NotJson) return undefined
    throw error
  }
}

function newAjv(): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    useDefaults: true,
    coerceTypes: false,
    removeAdditional: false,
    // One fault at a time: all of a large body's faults could be as many as its members.
    allErrors: false,
    // Errors hold what they are about, so that a fault can name the member that was meant.
    verbose: true,
    validateFormats: true,
    addUsedSchema: false,
    // Schemas are checked when a worker is added; to do it here too would cost the first task its time.
    validateSchema: false,
  })
  return formats.default(ajv)
}

/** Where a definition came from. */
export interface WorkerOrigin {
  /** The URL of the module that default-exports it. */
  module?: string
  /**
   * One of Errand's own, whose schemas its tests have checked: they are compiled when they are first needed.
   * To compile them all, and the schema of schemas to check them by, takes a third of the start.
   */
  isBuiltin?: boolean
  /** Only Errand itself submits to it. */
  isInternal?: boolean
}

interface Entry {
  worker: RegisteredWorker
  checkInput: () => ValidateFunction
  /** As `checkInput`, where the input refers to secrets. */
  checkInputOfRefs: () => ValidateFunction
  checkOutput: () => ValidateFunction
  source: string
}

function checkExample(example: unknown, check: ValidateFunction, source: string): void {
  if (example === undefined) return
  try {
    // On a copy: the check fills in defaults, and the example is shown as it was written.
    if (check(toJson(example))) return
  } catch (error) {
    if (!(error instanceof NotJson)) throw error
    throw invalid(source, `details.example cannot be JSON: ${error.message}`)
  }
  throw invalid(source, `details.example does not fit details.input: ${describe(toFaults(check))}`)
}

function inputToJson(value: unknown, worker: string): Json {
  try {
    return toJson(value)
  } catch (error) {
    if (!(error instanceof NotJson)) throw error
    const faults = [{ path: error.path, message: error.message }]
    throw new ErrandError(
      'invalid-input',
      `The input of worker ${worker} is refused: ${error.message}.`,
      { faults },
    )
  }
}

function unknownWorker(name: string, known: string[]): ErrandError {
  const asked = name.slice(0, 64)
  const near = nearest(asked, known)
  const hint = near === undefined ? '' : ` Did you mean ${near}?`
  return new ErrandError(
    'unknown-worker',
    `There is no worker ${JSON.stringify(asked)}.${hint} GET /workers lists them.`,
  )
}
