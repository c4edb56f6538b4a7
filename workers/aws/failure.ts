import {
  isRetryableByTrait,
  isServerError,
  isThrottlingError,
  isTransientError,
} from '@smithy/core/retry'
import { connectionError } from '../../src/task/connection-error.ts'
import { TaskError } from '../../src/task/worker.ts'
import { type Connection, MAX_RESPONSE_BYTES } from './connection.ts'
import { responseMetadata } from './result.ts'

/** What services call credentials that they do not take. */
const LOGIN_REFUSED = new Set([
  'AuthFailure',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'IncompleteSignatureException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSecurity',
  'InvalidSignatureException',
  'InvalidToken',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'RequestExpired',
  'SignatureDoesNotMatch',
  'TokenRefreshRequired',
  'UnrecognizedClientException',
])
/** What they call a caller whom they know, and who may not. A HEAD has no more than the status. */
const ACCESS_DENIED = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AuthorizationError',
  'AuthorizationErrorException',
  'Forbidden',
  'UnauthorizedOperation',
  '403',
])

/** What the SDK calls an error of which it knows but the status. */
const NAMELESS = new Set(['', 'Error', 'Unknown', 'UnknownError'])

/** What an error of the SDK means for the task. A {@link TaskError} stays what it is. */
export function toTaskError(
  error: unknown,
  attempted: string,
  { stage, isOverflown }: Pick<Connection, 'stage' | 'isOverflown'>,
): TaskError {
  if (isOverflown) return tooLarge(attempted)
  if (error instanceof TaskError) return error
  if (!(error instanceof Error)) return connectionError(error, attempted)
  if (isAnswer(error)) return refusal(error, attempted)
  if (stage === 'made') return invalid(error)
  if (stage === 'sent' && error.name === 'TimeoutError' && !('code' in error)) {
    return connectTimeout(error, attempted)
  }
  if (stage === 'sent' || 'code' in error) return connectionError(error, attempted)
  return badResponse(error, attempted)
}

/** The name of an error as AWS has it: `NoSuchBucket`; the status where the answer does not say. */
export function awsCode(error: Error): string {
  const code = 'Code' in error && typeof error.Code === 'string' ? error.Code : error.name
  const { HTTPStatusCode: status } = responseMetadata(error)
  return NAMELESS.has(code) && status !== undefined ? String(status) : code
}

/** Whether AWS answered, and what it answered is an error. */
function isAnswer(error: Error): boolean {
  return '$fault' in error && typeof responseMetadata(error).HTTPStatusCode === 'number'
}

function refusal(error: Error, attempted: string): TaskError {
  const code = awsCode(error)
  const metadata = responseMetadata(error)
  const said = firstLine(error)
  const isThrottled = isThrottlingError(toSdkError(error))
  return new TaskError(
    isThrottled ? 'throttled' : toCode(code),
    `${attempted} failed with ${code} (${metadata.HTTPStatusCode}): ${said}`,
    {
      retryable: isThrottled || isPassing(error),
      output: { result: { Error: { Code: code, Message: said }, ResponseMetadata: metadata } },
      cause: error,
    },
  )
}

function isPassing(error: Error): boolean {
  const sdkError = toSdkError(error)
  return isRetryableByTrait(sdkError) || isServerError(sdkError) || isTransientError(sdkError)
}

/** The types of the SDK want members that it gives to all of its errors. */
function toSdkError(error: Error): Parameters<typeof isThrottlingError>[0] {
  return error as Parameters<typeof isThrottlingError>[0]
}

function toCode(code: string): string {
  if (LOGIN_REFUSED.has(code)) return 'login-refused'
  if (ACCESS_DENIED.has(code)) return 'access-denied'
  const dashed = code
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  return `aws-${dashed.toLowerCase().slice(0, 60)}`
}

function invalid(error: Error): TaskError {
  return new TaskError('invalid-parameters', `No request can be made of it: ${error.message}`, {
    retryable: false,
    cause: error,
  })
}

function connectTimeout(error: Error, attempted: string): TaskError {
  const message = `${attempted} failed: no connection could be made in time.`
  return new TaskError('connection-timeout', message, { cause: error })
}

function badResponse(error: Error, attempted: string): TaskError {
  return new TaskError(
    'bad-response',
    `${attempted} failed: the answer cannot be read: ${firstLine(error)}`,
    {
      cause: error,
    },
  )
}

function tooLarge(attempted: string): TaskError {
  return new TaskError(
    'response-too-large',
    `${attempted} failed: the answer has more than ${MAX_RESPONSE_BYTES} bytes. Ask for a part of it.`,
    { retryable: false },
  )
}

/** What an error says; where a signature is wrong, what was signed follows, over many lines. */
function firstLine(error: Error): string {
  const [line = ''] = error.message.split('\n')
  return line === 'UnknownError' ? 'the answer does not say more' : line
}
