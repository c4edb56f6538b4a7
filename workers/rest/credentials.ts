/** Names of headers that show who the caller is. */
const NAMES =
  '^(?:proxy-)?authorization$|^cookie2?$|token|secret|passw|credential|session|signature|x-auth|api-?key|access-key|subscription-key|functions-key'
const CREDENTIAL = new RegExp(NAMES, 'i')

/** The same as a pattern of JSON Schema, which has no flags. */
export const CREDENTIAL_PATTERN: string = NAMES.replace(
  /[a-z]/g,
  (letter) => `[${letter.toUpperCase()}${letter}]`,
)

/** Whether a header is one that shows who the caller is. */
export function isCredential(name: string): boolean {
  return CREDENTIAL.test(name)
}
