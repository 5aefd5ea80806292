/** The public keys that tokens are checked with. */
import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from 'jose'
import { ConfigProblem } from '../../core/config-problem.ts'
import type { McpAuthenticationDependencies } from './dependencies.ts'
import { defaultKeysUrl, fetchJson, type ServerMetadata, TIMEOUT_MS } from './identity-provider.ts'
import { type Kept, keepFresh, neverChanging } from './keep-fresh.ts'
import { keySetSchema, type McpAuthenticationConfig } from './schema.ts'

// What else a key holds is read, and doubted, by jose.
const keySet = (document: unknown) => createLocalJWKSet(keySetSchema.parse(document) as JSONWebKeySet)

function fromFile(file: string, readText: (path: string) => string): LocalJWKSet {
  const text = readText(file)
  try {
    return keySet(JSON.parse(text))
  } catch (cause) {
    throw new ConfigProblem(['jwks', 'file'], `${file} does not hold a JSON Web Key Set`, { cause })
  }
}

export function signingKeys(
  config: McpAuthenticationConfig,
  metadata: Kept<ServerMetadata>,
  deps: McpAuthenticationDependencies,
): Kept<LocalJWKSet> {
  const { jwks } = config
  if (jwks !== undefined && 'file' in jwks) return neverChanging(fromFile(jwks.file, deps.readText))
  if (jwks !== undefined && 'inline' in jwks) return neverChanging(keySet(jwks.inline))
  const known = jwks?.url ?? defaultKeysUrl(config)

  return keepFresh(async () => {
    const deadline = deps.now() + TIMEOUT_MS
    const url = known ?? (await metadata.current()).jwks_uri
    if (url === undefined) throw new Error(`the metadata of ${config.issuer} has no jwks_uri`)
    return keySet(await fetchJson(deps, url, deadline))
  }, deps.now)
}
