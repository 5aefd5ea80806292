/** Policies that ask who calls, and whether that one may; with what they read from files. */
import { type Context, type KeyPath, readAt, secretAt, splitEndpoint } from './compile-upstream.ts'
import type { RoutePolicies } from './config/schema.ts'
import { ConfigProblem } from './core/config-problem.ts'
import { neverChanging } from './core/keep-fresh.ts'
import { type KeySource, keySetOf } from './core/key-set.ts'
import { type ApiKeyConfig, apiKey } from './policies/api-key.ts'
import { authorization } from './policies/authorization.ts'
import { type BasicAuthConfig, basicAuth } from './policies/basic-auth.ts'
import { eitherWay } from './policies/conditional.ts'
import { type ExtAuthzConfig, extAuthz } from './policies/ext-authz.ts'
import { type JwtAuthConfig, jwtAuth } from './policies/jwt-auth.ts'
import type { Policy } from './policies/policy.ts'

/** In upstream's order. */
export function callerPolicies(context: Context, config: RoutePolicies | undefined, path: KeyPath): Policy[] {
  const compiled: Policy[] = []
  if (config?.jwtAuth !== undefined) compiled.push(jwtAuthAt(context, config.jwtAuth, [...path, 'jwtAuth']))
  if (config?.basicAuth !== undefined)
    compiled.push(basicAuthAt(context, config.basicAuth, [...path, 'basicAuth']))
  if (config?.apiKey !== undefined) compiled.push(apiKeyAt(context, config.apiKey, [...path, 'apiKey']))
  if (config?.extAuthz !== undefined)
    compiled.push(eitherWay(config.extAuthz, (form: ExtAuthzConfig) => extAuthzAt(context, form)))
  if (config?.authorization !== undefined) compiled.push(authorization(config.authorization))
  return compiled
}

function extAuthzAt(context: Context, config: ExtAuthzConfig): Policy {
  const service = { ...splitEndpoint(config.host), tls: undefined, connectTimeoutMs: undefined }
  context.targets.push(service)
  return extAuthz(config, service, { ask: context.lasting.ask, now: () => performance.now() })
}

function apiKeyAt(context: Context, config: ApiKeyConfig, path: KeyPath): Policy {
  return apiKey(config, (key, index) => secretAt(context, [...path, 'keys', index, 'key'], key))
}

function jwtAuthAt(context: Context, config: JwtAuthConfig, path: KeyPath): Policy {
  const keysOf = (source: KeySource, index: number) => {
    if ('url' in source) return context.lasting.keySets.at(source.url)
    if ('inline' in source) return neverChanging(keySetOf(source.inline))
    const at = [...path, ...('providers' in config ? ['providers', index] : []), 'jwks', 'file']
    const text = readAt(context, at, source.file)
    try {
      return neverChanging(keySetOf(JSON.parse(text)))
    } catch (cause) {
      throw new ConfigProblem(at, `${source.file} does not hold a JSON Web Key Set`, { cause })
    }
  }
  return jwtAuth(config, keysOf, Date.now)
}

function basicAuthAt(context: Context, config: BasicAuthConfig, path: KeyPath): Policy {
  const { htpasswd } = config
  const at = [...path, 'htpasswd', ...(typeof htpasswd === 'string' ? [] : ['file'])]
  const text = typeof htpasswd === 'string' ? htpasswd : readAt(context, at, htpasswd.file)
  try {
    const { isPassword } = context.lasting.passwords
    return basicAuth(config, text, { isPassword, now: () => performance.now() })
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigProblem(at, `the passwords cannot be used: ${detail}`, { cause })
  }
}
