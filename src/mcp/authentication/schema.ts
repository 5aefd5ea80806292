/**
 * The configuration of `mcpAuthentication`.
 *
 * A bare string for `jwks` is the key set itself as JSON, not an address: upstream reads it so.
 */
import { z } from 'zod'
import { headerName, headerValue, secret } from '../../core/schema.ts'

const PROVIDERS = ['auth0', 'keycloak', 'okta', 'descope', 'authentik', 'entra'] as const
type Provider = (typeof PROVIDERS)[number]

export const httpUrl = z
  .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
  .regex(/^[\x21-\x7e]+$/, { error: 'a URL has neither spaces nor characters beyond ASCII' })

/** https://www.rfc-editor.org/rfc/rfc7517#section-5 */
export const keySetSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) })

const inlineKeySet = z.union([
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text)
      } catch {
        context.issues.push({ code: 'custom', message: 'expected a key set as JSON', input: text })
        return z.NEVER
      }
    })
    .pipe(keySetSchema),
  keySetSchema,
])

const jwks = z.union([
  z.strictObject({ url: httpUrl }),
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ inline: inlineKeySet }),
  inlineKeySet.transform((inline) => ({ inline })),
])

const empty = z.strictObject({}).nullable().optional()

const providerObject = z
  .strictObject({
    auth0: empty,
    keycloak: empty,
    okta: empty,
    descope: empty,
    authentik: empty,
    entra: empty,
  })
  .transform((value, context): Provider => {
    const named = PROVIDERS.filter((name) => value[name] !== undefined)
    const [provider] = named
    if (provider !== undefined && named.length === 1) return provider
    const message = `expected exactly one of ${PROVIDERS.join(', ')}`
    context.issues.push({ code: 'custom', message, input: value })
    return z.NEVER
  })

/** https://www.rfc-editor.org/rfc/rfc9728#section-2, in camelCase; keys that we do not know are kept. */
const resourceMetadata = z.looseObject({
  resource: httpUrl.optional(),
  scopesSupported: z.array(z.string()).optional(),
  bearerMethodsSupported: z.array(z.string()).optional(),
  resourceName: z.string().optional(),
  resourceDocumentation: z.string().optional(),
  resourcePolicyUri: z.string().optional(),
})

const authorizationLocation = z.strictObject({
  header: z.strictObject({ name: headerName, prefix: headerValue.default('') }),
})

export const mcpAuthenticationSchema = z
  .strictObject({
    issuer: httpUrl.regex(/^[^?#]*$/, { error: 'an issuer has neither query nor fragment' }),
    audiences: z.array(z.string().min(1)).min(1, { error: 'name at least one audience' }),
    resourceMetadata: resourceMetadata.default({}),
    provider: z.union([z.enum(PROVIDERS), providerObject]).optional(),
    jwks: jwks.optional(),
    mode: z.enum(['strict', 'optional', 'permissive']).default('strict'),
    jwtValidationOptions: z
      .strictObject({ requiredClaims: z.array(z.string().min(1)).default(['exp']) })
      .default({ requiredClaims: ['exp'] }),
    authorizationLocation: authorizationLocation.default({
      header: { name: 'authorization', prefix: 'Bearer ' },
    }),
    clientId: z.string().min(1).optional(),
    clientSecret: secret.optional(),
  })
  .refine((config) => config.clientSecret === undefined || config.clientId !== undefined, {
    path: ['clientSecret'],
    error: 'a client secret needs a clientId',
  })
  .refine((config) => config.provider !== 'entra' || /^https?:\/\/[^/]+\/[^/]/.test(config.issuer), {
    path: ['issuer'],
    error: 'the issuer of Entra names the tenant: https://login.microsoftonline.com/<tenant>/v2.0',
  })
export type McpAuthenticationConfig = z.output<typeof mcpAuthenticationSchema>
