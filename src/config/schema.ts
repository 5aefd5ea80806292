/**
 * The configuration file's shape, assembled from the stages' own schemas.
 *
 * Every object is strict: an unknown key is an error with a place. What upstream knows and this version does not
 * is refused by name (`unsupported.ts`), never ignored.
 */
import { z } from 'zod'
import {
  address,
  byteSize,
  durationMs,
  endpoint,
  longDurationMs,
  orEmpty,
  secret,
  workerThreads,
} from '../core/schema.ts'
import { frontendHttpSchema, listenerTlsSchema } from '../listen/schema.ts'
import { aiProviderShape } from '../llm/schema.ts'
import { mcpAuthenticationSchema } from '../mcp/authentication/schema.ts'
import { mcpAuthorizationSchema } from '../mcp/authorization.ts'
import { mcpBackendShape, mcpSettingsSchema, mcpTargetShape } from '../mcp/schema.ts'
import { apiKeySchema } from '../policies/api-key.ts'
import { authorizationSchema } from '../policies/authorization.ts'
import { backendAuthSchema } from '../policies/backend-auth.ts'
import { basicAuthSchema } from '../policies/basic-auth.ts'
import { budgetsSchema } from '../policies/budgets.ts'
import { bufferSchema } from '../policies/buffer.ts'
import { CONDITION, conditionalSchema } from '../policies/conditional.ts'
import { corsSchema } from '../policies/cors.ts'
import { csrfSchema } from '../policies/csrf.ts'
import { delaySchema } from '../policies/delay.ts'
import { directResponseSchema } from '../policies/direct-response.ts'
import { extAuthzSchema } from '../policies/ext-authz.ts'
import { headerModifierSchema } from '../policies/header-modifier.ts'
import { jwtAuthSchema } from '../policies/jwt-auth.ts'
import { limitSchema, localRateLimitSchema } from '../policies/rate-limit.ts'
import { requestRedirectSchema } from '../policies/request-redirect.ts'
import { retrySchema } from '../policies/retry.ts'
import { timeoutSchema } from '../policies/timeout.ts'
import { transformationsSchema } from '../policies/transformations.ts'
import { urlRewriteSchema } from '../policies/url-rewrite.ts'
import { matchSchema } from '../route/schema.ts'
import {
  accessLogSchema,
  frontendTracingSchema,
  loggingSchema,
  metricsSchema,
  standardAttributesSchema,
  tracingSchema,
} from '../telemetry/schema.ts'
import { healthSchema } from '../upstream/health.ts'
import { backendTlsSchema, upstreamDefaultsSchema } from '../upstream/schema.ts'
import { aiPolicySchema } from './ai-schema.ts'
import { llmSectionShape } from './llm-schema.ts'

/** 0 takes a free one. */
const port = z.int().min(0).max(65535)

const routePoliciesSchema = z.strictObject({
  apiKey: apiKeySchema.optional(),
  authorization: authorizationSchema.optional(),
  backendAuth: backendAuthSchema.optional(),
  backendTLS: orEmpty(backendTlsSchema).optional(),
  basicAuth: basicAuthSchema.optional(),
  buffer: bufferSchema.optional(),
  cors: corsSchema.optional(),
  csrf: orEmpty(csrfSchema).optional(),
  delay: delaySchema.optional(),
  extAuthz: z.union([extAuthzSchema, conditionalSchema(extAuthzSchema.safeExtend(CONDITION))]).optional(),
  jwtAuth: jwtAuthSchema.optional(),
  localRateLimit: z
    .union([localRateLimitSchema, conditionalSchema(limitSchema.safeExtend(CONDITION))])
    .optional(),
  budgets: budgetsSchema.optional(),
  retry: orEmpty(retrySchema).optional(),
  timeout: timeoutSchema.optional(),
  requestHeaderModifier: headerModifierSchema.optional(),
  responseHeaderModifier: headerModifierSchema.optional(),
  transformations: z
    .union([transformationsSchema, conditionalSchema(transformationsSchema.safeExtend(CONDITION))])
    .optional(),
  urlRewrite: urlRewriteSchema.optional(),
  requestRedirect: orEmpty(requestRedirectSchema).optional(),
  directResponse: z
    .union([directResponseSchema, conditionalSchema(directResponseSchema.safeExtend(CONDITION))])
    .optional(),
  ai: aiPolicySchema.optional(),
  mcpAuthorization: mcpAuthorizationSchema.optional(),
  mcpAuthentication: mcpAuthenticationSchema.optional(),
})
export type RoutePolicies = z.output<typeof routePoliciesSchema>

const backendPoliciesSchema = z.strictObject({
  backendAuth: backendAuthSchema.optional(),
  backendTLS: orEmpty(backendTlsSchema).optional(),
  requestHeaderModifier: headerModifierSchema.optional(),
  responseHeaderModifier: headerModifierSchema.optional(),
  http: z
    .strictObject({
      requestTimeout: durationMs.optional(),
      maxRequests: z.int().positive().optional(),
      maxPendingRequests: z.int().nonnegative().optional(),
    })
    .refine(
      ({ maxRequests, maxPendingRequests }) => maxRequests !== undefined || maxPendingRequests === undefined,
      {
        error: 'nobody waits without `maxRequests`',
        path: ['maxPendingRequests'],
      },
    )
    .optional(),
  tcp: z
    .strictObject({
      connectTimeout: durationMs.optional(),
      maxConnections: z.int().positive().optional(),
    })
    .optional(),
  health: orEmpty(healthSchema).optional(),
  ai: aiPolicySchema.optional(),
  mcpAuthorization: mcpAuthorizationSchema.optional(),
})
export type BackendPolicies = z.output<typeof backendPoliciesSchema>

const aiProviderSchema = z.strictObject({ ...aiProviderShape, policies: backendPoliciesSchema.optional() })
export type AiProviderConfig = z.output<typeof aiProviderSchema>

const aiGroup = z.strictObject({
  providers: z.array(aiProviderSchema).min(1, { error: 'expected at least one provider' }),
})

/** One provider, or groups of them in order of preference; those of one group share the load. */
const aiBackendSchema = z
  .strictObject({
    ...aiProviderSchema.partial({ name: true, provider: true }).shape,
    groups: z.array(aiGroup).min(1, { error: 'expected at least one group' }).optional(),
  })
  .superRefine(({ groups, policies: _, ...provider }, context) => {
    if (groups === undefined) {
      for (const key of ['name', 'provider'] as const) {
        if (provider[key] !== undefined) continue
        const expected = key === 'name' ? 'string' : 'object'
        context.addIssue({ code: 'invalid_type', expected, path: [key], input: undefined })
      }
      return
    }
    for (const [key, value] of Object.entries(provider)) {
      if (value === undefined) continue
      const message = `\`${key}\` is a provider's: beside \`groups\` only \`policies\` has a place`
      context.addIssue({ code: 'custom', message, path: [key] })
    }
  })
export type AiBackendConfig = z.output<typeof aiBackendSchema>

/** `gateway` or `gateway/listener`, one or several. */
const gatewayReferences = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
  .transform((references) => [references].flat())

const oneTarget = (keys: readonly string[]) => (value: object) =>
  keys.filter((key) => (value as Record<string, unknown>)[key] !== undefined).length === 1

const mcpTargetPoliciesSchema = backendPoliciesSchema.pick({
  backendAuth: true,
  backendTLS: true,
  requestHeaderModifier: true,
  http: true,
  tcp: true,
})

const mcpTargetSchema = z
  .strictObject({ ...mcpTargetShape, policies: mcpTargetPoliciesSchema.optional() })
  .refine(oneTarget(['stdio', 'mcp', 'sse', 'openapi']), {
    error: 'expected exactly one of stdio, mcp, sse, openapi',
  })
export type McpTargetConfig = z.output<typeof mcpTargetSchema>

const mcpTargets = z.array(mcpTargetSchema).min(1, { error: 'expected at least one target' })
const mcpBackendSchema = z.strictObject({ ...mcpBackendShape, targets: mcpTargets })
export type McpBackendConfig = z.output<typeof mcpBackendSchema>

/** The top-level `mcp:`, on gateways or on a port of its own. */
const mcpSectionSchema = z.strictObject({
  port: port.optional(),
  gateways: gatewayReferences.optional(),
  ...mcpBackendShape,
  targets: mcpTargets,
  policies: orEmpty(routePoliciesSchema).optional(),
})
export type McpSectionConfig = z.output<typeof mcpSectionSchema>

const llmPoliciesSchema = z.strictObject({
  ...routePoliciesSchema.pick({
    apiKey: true,
    authorization: true,
    basicAuth: true,
    cors: true,
    csrf: true,
    jwtAuth: true,
    localRateLimit: true,
    retry: true,
    timeout: true,
    requestHeaderModifier: true,
    responseHeaderModifier: true,
  }).shape,
  /** They come before those of the models. */
  guardrails: aiPolicySchema.shape.promptGuard,
})

/** The top-level `llm:`, on gateways or on a port of its own. */
const llmSectionSchema = z.strictObject({
  port: port.optional(),
  gateways: gatewayReferences.optional(),
  ...llmSectionShape,
  policies: orEmpty(llmPoliciesSchema).optional(),
})
export type LlmSectionConfig = z.output<typeof llmSectionSchema>

const namedBackendSchema = z
  .strictObject({
    name: z.string().min(1),
    policies: backendPoliciesSchema.optional(),
    host: endpoint.optional(),
    ai: aiBackendSchema.optional(),
    mcp: mcpBackendSchema.optional(),
  })
  .refine(oneTarget(['host', 'ai', 'mcp']), { error: 'expected exactly one of host, ai, mcp' })
export type NamedBackendConfig = z.output<typeof namedBackendSchema>

const routeBackendSchema = z
  .strictObject({
    weight: z.int().nonnegative().optional(),
    policies: backendPoliciesSchema.optional(),
    host: endpoint.optional(),
    ai: aiBackendSchema.optional(),
    mcp: mcpBackendSchema.optional(),
    /** A top-level backend, `/name` or `name`. */
    backend: z.string().min(1).optional(),
  })
  .refine(oneTarget(['host', 'ai', 'mcp', 'backend']), {
    error: 'expected exactly one of host, ai, mcp, backend',
  })
export type RouteBackendConfig = z.output<typeof routeBackendSchema>

const routeSchema = z.strictObject({
  name: z.string().min(1).optional(),
  hostnames: z.array(z.string().min(1)).optional(),
  matches: z.array(matchSchema).min(1).optional(),
  policies: orEmpty(routePoliciesSchema).optional(),
  backends: z.array(routeBackendSchema).optional(),
})
export type RouteConfig = z.output<typeof routeSchema>

const listenerShape = {
  name: z.string().min(1).optional(),
  hostname: z.string().min(1).optional(),
  protocol: z.enum(['HTTP', 'HTTPS']).optional(),
  tls: listenerTlsSchema.optional(),
}

const listenerSchema = z
  .strictObject({ ...listenerShape, routes: z.array(routeSchema).optional() })
  .refine((listener) => (listener.protocol === 'HTTPS') === (listener.tls !== undefined), {
    error: 'protocol HTTPS and tls go together',
  })
export type ListenerConfig = z.output<typeof listenerSchema>

const bindSchema = z.strictObject({
  port,
  listeners: z.array(listenerSchema).min(1),
})
export type BindConfig = z.output<typeof bindSchema>

const protocolAndTls = { protocol: listenerShape.protocol, tls: listenerShape.tls }
/** Of gateways: TLS alone says that it is HTTPS. */
const isProtocolRight = ({ protocol, tls }: { protocol?: string | undefined; tls?: unknown }) =>
  protocol === undefined || (protocol === 'HTTPS') === (tls !== undefined)

const gatewayListenerSchema = z
  .strictObject({ name: listenerShape.name, hostname: listenerShape.hostname, ...protocolAndTls })
  .refine(isProtocolRight, { error: 'protocol HTTPS and tls go together' })

const gatewaySchema = z
  .strictObject({ port, ...protocolAndTls, listeners: z.array(gatewayListenerSchema).min(1).optional() })
  .refine(isProtocolRight, { error: 'protocol HTTPS and tls go together' })
  .refine(({ listeners, protocol, tls }) => listeners === undefined || (protocol ?? tls) === undefined, {
    error: 'beside `listeners` only `port` has a place: they have `protocol` and `tls` of their own',
  })
export type GatewayConfig = z.output<typeof gatewaySchema>

const gatewayName = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/, { error: 'a name is made of letters, digits, `-` and `_`' })

const topRouteSchema = routeSchema.extend({ gateways: gatewayReferences.optional() })

const modelCatalogEntry = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ inline: z.union([z.string(), z.record(z.string(), z.json())]) }),
])

/** Accepted for compatibility and without effect in one process; `load.ts` warns once about those in use. */
export const IGNORED_CONFIG_KEYS = [
  'hbone',
  'spiffe',
  'xdsAddress',
  'xdsAuthToken',
  'caAddress',
  'caAuthToken',
  'namespace',
  'gateway',
  'trustDomain',
  'additionalTrustDomains',
  'skipValidateTrustDomain',
  'serviceAccount',
  'clusterId',
  'network',
  'localXdsPath',
] as const
const ignored = Object.fromEntries(IGNORED_CONFIG_KEYS.map((key) => [key, z.json().optional()])) as Record<
  (typeof IGNORED_CONFIG_KEYS)[number],
  z.ZodOptional<ReturnType<typeof z.json>>
>

const databaseSchema = z.strictObject({
  url: z.string().min(1).optional(),
  maxConnections: z.int().positive().optional(),
  retention: z.strictObject({ age: longDurationMs.optional(), size: byteSize.optional() }).optional(),
})

const staticSchema = z.strictObject({
  enableIpv6: z.boolean().optional(),
  dns: z
    .strictObject({
      lookupFamily: z.enum(['All', 'Auto', 'V4Preferred', 'V4Only', 'V6Only']).optional(),
      edns0: z.boolean().optional(),
    })
    .optional(),
  adminAddr: address.optional(),
  adminToken: secret
    .refine((value) => typeof value !== 'string' || value.length >= 16, {
      error: 'expected at least 16 characters',
    })
    .optional(),
  database: databaseSchema.optional(),
  statsAddr: address.optional(),
  readinessAddr: address.optional(),
  modelCatalog: z.array(modelCatalogEntry).optional(),
  histograms: z.literal('classic').optional(),
  storage: z.strictObject({ mode: z.literal('file').optional() }).optional(),
  sensitiveHeaders: z.array(z.string()).optional(),
  connectionTerminationDeadline: durationMs.optional(),
  connectionMinTerminationDeadline: durationMs.optional(),
  tracing: tracingSchema.optional(),
  logging: loggingSchema.optional(),
  metrics: metricsSchema.optional(),
  standardAttributes: standardAttributesSchema.optional(),
  backend: upstreamDefaultsSchema.optional(),
  mcp: mcpSettingsSchema.optional(),
  workerThreads: workerThreads.optional(),
  ...ignored,
})

export const configSchema = z.strictObject({
  config: orEmpty(staticSchema).optional(),
  binds: z.array(bindSchema).optional(),
  gateways: z.record(gatewayName, gatewaySchema).optional(),
  routes: z.array(topRouteSchema).optional(),
  backends: z.array(namedBackendSchema).optional(),
  mcp: mcpSectionSchema.optional(),
  llm: llmSectionSchema.optional(),
  frontendPolicies: z
    .strictObject({
      http: frontendHttpSchema.optional(),
      tracing: frontendTracingSchema.optional(),
      accessLog: accessLogSchema.optional(),
      /** The same by upstream's other name. */
      logging: accessLogSchema.optional(),
    })
    .optional(),
})

/** The validated file: defaults are applied where they are used. */
export type Config = z.output<typeof configSchema>
