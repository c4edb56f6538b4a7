import { stringify } from 'yaml'
import { createApp } from './app.ts'

/** The OpenAPI document of a server with the built-in workers and the default settings. */
export async function openapiYaml(): Promise<string> {
  const app = await createApp({ logLevel: 'silent' })
  try {
    const { body } = await app.inject('/openapi.json')
    return stringify(JSON.parse(body), { lineWidth: 110, aliasDuplicateObjects: false })
  } finally {
    await app.close()
  }
}
