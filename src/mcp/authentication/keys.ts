/** The public keys that tokens are checked with. */
import type { LocalJWKSet } from 'jose'
import { ConfigProblem } from '../../core/config-problem.ts'
import { fetchJson, TIMEOUT_MS } from '../../core/fetch-json.ts'
import { type Kept, keepFresh, neverChanging } from '../../core/keep-fresh.ts'
import { keySetOf } from '../../core/key-set.ts'
import type { McpAuthenticationDependencies } from './dependencies.ts'
import { defaultKeysUrl, type ServerMetadata } from './identity-provider.ts'
import type { McpAuthenticationConfig } from './schema.ts'

function fromFile(file: string, readText: (path: string) => string): LocalJWKSet {
  const text = readText(file)
  try {
    return keySetOf(JSON.parse(text))
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
  if (jwks !== undefined && 'inline' in jwks) return neverChanging(keySetOf(jwks.inline))
  const known = jwks?.url ?? defaultKeysUrl(config)

  return keepFresh(async () => {
    const deadline = deps.now() + TIMEOUT_MS
    const url = known ?? (await metadata.current()).jwks_uri
    if (url === undefined) throw new Error(`the metadata of ${config.issuer} has no jwks_uri`)
    return keySetOf(await fetchJson(deps, url, deadline))
  }, deps.now)
}
