/** Words that botocore takes for one, where its rule would make several of them. */
const WORDS: readonly (readonly [written: RegExp, word: string])[] = [
  [/iSCSI/g, 'Iscsi'],
  [/HITs(?=[A-Z])/g, 'Hits'],
  [/PartiQL/g, 'Partiql'],
  [/OAuth2Token(?=$|WithIAM)/g, 'Oauth2Token'],
  [/WhatsApp/g, 'Whatsapp'],
  [/OTel/g, 'Otel'],
]

/** The method of boto3 for an operation of the API, by the rule of botocore (`xform_name`). */
export function methodName(operation: string): string {
  const words = WORDS.reduce((name, [written, word]) => name.replace(written, word), operation)
  return words
    .replace(/[A-Z]{2,}s$/, (plural) => `_${plural.toLowerCase()}`)
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
}
