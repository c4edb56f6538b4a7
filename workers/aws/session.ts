import { createHash } from 'node:crypto'
import type { TaskContext } from '../../src/task/worker.ts'
import { TaskError } from '../../src/task/worker.ts'
import { Connection } from './connection.ts'
import { toTaskError } from './failure.ts'
import { toParameters } from './parameters.ts'
import { toResult } from './result.ts'
import { inputOf, outputOf } from './schema.ts'
import type { AwsClient, CommandClass, Service } from './service.ts'

/** Who calls, and where. */
export interface Login {
  readonly aws_access_key_id: string
  readonly aws_secret_access_key: string
  readonly session_token?: string
  readonly region?: string
  readonly endpoint_url?: string
  readonly service?: string
  readonly waiter?: string
}

/** A client of the SDK for one task, which has nothing but what the task gave it. */
export class Session {
  /** What is done, without secrets: `s3 list_buckets in eu-central-1`. */
  readonly attempted: string
  readonly signal: AbortSignal
  /** What came of the latest request, for whom time ran out; empty while there is none. */
  last = ''
  readonly #client: AwsClient
  readonly #connection: Connection
  readonly #taskId: string

  /** @throws {@link TaskError} `no-region` */
  constructor(service: Service, login: Login, task: TaskContext, signal: AbortSignal) {
    const region = login.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION
    if (region === undefined || region === '') throw noRegion()
    this.attempted = `${service.name} ${login.service ?? login.waiter} in ${region}`
    this.signal = signal
    this.#taskId = task.id
    this.#connection = new Connection(task.egress, signal)
    this.#client = new service.Client({
      ...config(login, region),
      ...this.#connection.config,
      logger: quietLogger(task),
    })
    this.#client.middlewareStack.add(this.#connection.middleware, {
      step: 'deserialize',
      priority: 'low',
      name: 'errandConnection',
    })
  }

  /** Calls an operation, and resolves with what its answer says. */
  async result(Command: CommandClass, parameters: object): Promise<object> {
    try {
      const output = await this.send(Command, parameters)
      return await toResult(output, outputOf(new Command({})))
    } catch (error) {
      throw this.failure(error)
    }
  }

  /** Calls an operation. Resolves and rejects as the SDK does, for whom it is to look at. */
  async send(Command: CommandClass, parameters: object): Promise<object> {
    const schema = inputOf(new Command({}))
    const input = toParameters(parameters, schema, idempotencyToken(this.#taskId))
    return await this.#client.send(new Command(input), { abortSignal: this.signal })
  }

  /** What an error of the SDK means for the task. */
  failure(error: unknown): TaskError {
    return toTaskError(error, this.attempted, this.#connection)
  }

  close(): void {
    this.#client.destroy()
    this.#connection.close()
  }
}

/**
 * Each setting that the SDK would otherwise take from its environment, the files of a profile or the metadata
 * of the machine.
 */
function config(login: Login, region: string): object {
  const isElsewhere = login.endpoint_url !== undefined
  const unset = async () => undefined
  return {
    region,
    credentials: {
      accessKeyId: login.aws_access_key_id,
      secretAccessKey: login.aws_secret_access_key,
      ...(login.session_token !== undefined && { sessionToken: login.session_token }),
    },
    token: () => Promise.reject(takesTokens()),
    authSchemePreference: async () => ['sigv4'],
    ...(isElsewhere && { endpoint: login.endpoint_url }),
    ignoreConfiguredEndpointUrls: true,
    // Names made of a bucket or a prefix and a host lead nowhere but at AWS.
    forcePathStyle: isElsewhere,
    disableHostPrefix: isElsewhere,
    useQueueUrlAsEndpoint: false,
    // As boto3 does.
    followRegionRedirects: !isElsewhere,
    useArnRegion: true,
    // To try again is for the retry policy of the task.
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'standard',
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    accountIdEndpointMode: 'preferred',
    disableS3ExpressSessionAuth: false,
    // It would wait for an answer that the signal does not interrupt.
    expectContinueHeader: false,
    endpointDiscoveryEnabledProvider: unset,
    requestChecksumCalculation: 'WHEN_SUPPORTED',
    responseChecksumValidation: 'WHEN_SUPPORTED',
    sigv4aSigningRegionSet: unset,
    userAgentAppId: unset,
  }
}

/** The same for every attempt of a task, so that a retry does not do a second time what has been done. */
function idempotencyToken(taskId: string): string {
  const hex = createHash('sha256').update(taskId).digest('hex')
  return hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** The SDK writes to the console where it has none. */
function quietLogger({ log }: TaskContext): object {
  const silent = () => {}
  const warn = (message: unknown) => log.warn(String(message).slice(0, 1_000))
  return { trace: silent, debug: silent, info: silent, warn, error: warn }
}

function noRegion(): TaskError {
  return new TaskError(
    'no-region',
    'No region is given, and AWS_REGION and AWS_DEFAULT_REGION are not set for the server.',
    { retryable: false },
  )
}

function takesTokens(): TaskError {
  return new TaskError('login-refused', 'This client takes tokens alone, and no access keys.', {
    retryable: false,
  })
}
