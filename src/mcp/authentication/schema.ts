/** The configuration of `mcpAuthentication`. */
import { z } from 'zod'
import { keySourceSchema } from '../../core/key-set.ts'
import { headerName, headerValue, httpUrl, secret } from '../../core/schema.ts'

const PROVIDERS = ['auth0', 'keycloak', 'okta', 'descope', 'authentik', 'entra'] as const
type Provider = (typeof PROVIDERS)[number]

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
    jwks: keySourceSchema.optional(),
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
