/**
 * What upstream knows and this version does not: refused by name, never ignored.
 *
 * A table by place in the file. A key that is in neither the schema nor this table is an unknown key.
 */
import type { Finding, Path } from './problem.ts'

interface Refusal {
  /** Matches the place's path without indices: `binds[].listeners[]`. */
  readonly at: RegExp
  readonly keys?: readonly string[]
  /** Refuses the value at the place itself. */
  readonly values?: RegExp
  readonly hint?: string
  /** Instead of "is not supported by this version". */
  readonly message?: string
}

const GATEWAY = 'gateways\\.[^.]+'
const LISTENER = `(?:binds\\[\\]|${GATEWAY})\\.listeners\\[\\]`
const ROUTE = '(?:binds\\[\\]\\.listeners\\[\\]\\.)?routes\\[\\]'
const BACKEND = `(?:${ROUTE}\\.)?backends\\[\\]`
const PROVIDER = `${BACKEND}\\.ai(?:\\.groups\\[\\]\\.providers\\[\\])?`
const TARGET = `(?:${BACKEND}\\.)?mcp\\.targets\\[\\]`
const BACKEND_POLICIES = `(?:${BACKEND}|${PROVIDER}|${TARGET})\\.policies`
const MODEL = 'llm\\.models\\[\\]'
const LLM_PROVIDER = 'llm\\.providers\\[\\]'
const ROUTE_POLICIES = `(?:${ROUTE}|mcp|llm)\\.policies`
const MODEL_SETTINGS = `(?:${MODEL}|${LLM_PROVIDER}\\.defaults)`
const POLICIES = `(?:${ROUTE_POLICIES}|${BACKEND_POLICIES})`
const GUARD = `(?:${POLICIES}\\.ai\\.promptGuard|(?:llm\\.policies|${MODEL_SETTINGS})\\.guardrails)\\.(?:request|response)\\[\\]`
const MODERATION_POLICIES = `${GUARD}\\.openAIModeration\\.policies`
const BACKEND_AUTH = `(?:(?:${POLICIES}|${MODERATION_POLICIES})\\.backendAuth|${MODEL_SETTINGS}\\.auth)`
/** A policy of routes, with conditions or without. */
const formOf = (policy: string) => `${ROUTE_POLICIES}\\.${policy}(?:\\.conditional\\[\\])?`
const at = (pattern: string) => new RegExp(`^${pattern}$`)

const REFUSALS: readonly Refusal[] = [
  {
    at: at(''),
    keys: ['policies'],
    hint: 'policies belong to a route or a backend: `routes[].policies`',
  },
  { at: at(''), keys: ['tcpRoutes', 'ui', 'routeGroups', 'workloads', 'services'] },

  { at: at('llm'), keys: ['tls'], hint: 'put it on a gateway with `tls`: `llm.gateways`' },
  { at: at(GATEWAY), keys: ['tunnelProtocol', 'mode'] },
  {
    at: at(GATEWAY),
    keys: [
      ...['oidc', 'jwtAuth', 'authorization', 'extAuthz', 'extProc'],
      ...['cors', 'transformations', 'basicAuth', 'apiKey'],
    ],
    hint: 'put the policies on the routes: `routes[].policies`',
  },
  {
    at: at(MODEL),
    keys: ['id', 'passthrough', 'authorization', 'matches'],
  },
  {
    at: at(MODEL_SETTINGS),
    keys: ['transformation', 'finalTransformation', 'backendTunnel', 'promptCaching'],
  },
  { at: at(MODEL_SETTINGS), keys: ['backendTLS'], hint: 'say `tls`' },
  {
    at: at(`(?:${MODEL}|${LLM_PROVIDER})\\.params`),
    keys: [
      ...['awsRegion', 'vertexRegion', 'vertexProject', 'tokenize'],
      ...['azureResourceName', 'azureResourceType', 'azureApiVersion', 'azureProjectName'],
    ],
  },
  {
    at: at(`(?:${MODEL}|${LLM_PROVIDER})\\.params`),
    keys: ['hostOverride', 'pathOverride', 'pathPrefix'],
    hint: 'say it with `baseUrl`',
  },
  {
    at: at(`(?:${MODEL}|${LLM_PROVIDER})\\.provider`),
    values: /^(?:gemini|vertex|bedrock|azure|azureOpenAI|copilot)$/,
    hint: 'this version has openAI, anthropic, custom and servers that speak their APIs',
  },
  {
    at: at(`(?:${MODEL}|${LLM_PROVIDER})\\.provider\\.custom`),
    keys: ['model'],
    hint: 'the model belongs to `params`',
  },

  { at: at('config'), keys: ['session', 'customFunctions'] },
  {
    at: at('config'),
    keys: ['listener'],
    message:
      '`config.listener` was renamed: its settings belong to `frontendPolicies`, at the top of the file',
  },
  { at: at('config\\.storage\\.mode'), values: /^(?:hybrid|readOnly)$/ },
  { at: at('config\\.histograms'), values: /^(?:native|both)$/, hint: 'use `classic`' },
  { at: at('config\\.(?:adminAddr|statsAddr|readinessAddr)'), values: /^unix:/ },
  { at: at('config\\.logging'), keys: ['database'] },

  {
    at: at('frontendPolicies'),
    keys: ['tls', 'tcp', 'networkAuthorization', 'networkExtAuthz', 'proxyProtocol', 'connect'],
  },
  {
    at: at('frontendPolicies\\.http'),
    keys: [
      'http1MaxHeaders',
      'http1HeaderCase',
      'http2WindowSize',
      'http2ConnectionWindowSize',
      'http2FrameSize',
      'http2MaxHeaderSize',
      'http2KeepaliveInterval',
      'http2KeepaliveTimeout',
      'maxConnectionDuration',
    ],
  },
  {
    at: at('frontendPolicies\\.(?:accessLog|logging)'),
    keys: ['otlp'],
  },
  { at: at('frontendPolicies\\.tracing'), keys: ['service', 'backend'], hint: 'use `host`' },
  { at: at('frontendPolicies\\.tracing'), keys: ['policies'] },

  { at: at('binds\\[\\]'), keys: ['tunnelProtocol', 'mode'] },
  { at: at(LISTENER), keys: ['namespace', 'tcpRoutes'] },
  {
    at: at(LISTENER),
    keys: ['policies'],
    hint: 'put the policies on the routes: `routes[].policies`',
  },
  { at: at(`(?:${LISTENER}|${GATEWAY})\\.protocol`), values: /^(?:TCP|TLS|HBONE)$/ },
  {
    at: at(`(?:${LISTENER}|${GATEWAY})\\.tls`),
    keys: ['mode', 'root', 'spiffe', 'cipherSuites', 'minTLSVersion', 'maxTLSVersion', 'keyExchangeGroups'],
  },

  {
    at: at(ROUTE_POLICIES),
    keys: ['requestMirror', 'oidc', 'mcpGuardrails', 'extProc', 'remoteRateLimit', 'backendTunnel', 'a2a'],
  },
  {
    at: at(`${formOf('transformations')}\\.(?:request|response)`),
    keys: ['replace'],
  },
  {
    at: at(`${formOf('transformations')}\\.response`),
    keys: ['body', 'metadata'],
    hint: 'this version has it of requests',
  },
  {
    at: at(`${formOf('transformations')}\\.(?:request|response)\\.(?:add|set)`),
    keys: [':method', ':scheme', ':status'],
  },
  {
    at: at(formOf('extAuthz')),
    keys: ['service', 'backend'],
    hint: 'use `host`',
  },
  { at: at(formOf('extAuthz')), keys: ['includeRequestBody', 'policies'] },
  { at: at(`${formOf('extAuthz')}\\.protocol`), keys: ['grpc'], hint: 'use `http`' },
  { at: at(`${formOf('extAuthz')}\\.protocol\\.http`), keys: ['body', 'metadata'] },
  { at: at(`${formOf('extAuthz')}\\.host`), values: /^unix:/ },
  { at: at(`${ROUTE_POLICIES}\\.buffer`), keys: ['response'] },
  {
    at: at(BACKEND_POLICIES),
    keys: [
      'requestRedirect',
      'transformations',
      'backendTunnel',
      'extAuthz',
      'authorization',
      'mcpGuardrails',
      'a2a',
      'inferenceRouting',
      'sessionAffinity',
    ],
  },
  {
    at: at(BACKEND_POLICIES),
    keys: ['cors', 'retry', 'timeout', 'urlRewrite', 'directResponse'],
    message: '`{key}` is a policy of routes: it has no place on a backend',
  },
  {
    at: at('llm\\.policies'),
    keys: [
      'ai',
      'backendAuth',
      'backendTLS',
      'urlRewrite',
      'directResponse',
      'mcpAuthorization',
      'mcpAuthentication',
    ],
    message: '`{key}` has no place here: models and their providers have such settings of their own',
  },
  {
    at: at(`(?:${BACKEND_POLICIES}|${MODEL_SETTINGS})\\.health\\.eviction`),
    keys: ['restoreHealth', 'healthThreshold'],
  },
  { at: at(`${BACKEND_POLICIES}\\.http`), keys: ['version'] },
  { at: at(`${BACKEND_POLICIES}\\.tcp`), keys: ['keepalives'], hint: 'set it for all: `config.backend`' },
  {
    at: at(`(?:(?:${POLICIES}|${MODERATION_POLICIES})\\.backendTLS|${MODEL_SETTINGS}\\.tls)`),
    keys: ['subjectAltNames', 'keyExchangeGroups', 'alpn'],
  },
  {
    at: at(BACKEND_AUTH),
    keys: [
      'passthrough',
      'gcp',
      'aws',
      'azure',
      'copilot',
      'jwtSign',
      'oauthTokenExchange',
      'crossAppAccess',
      'credentials',
    ],
  },
  { at: at(BACKEND_AUTH), values: /^copilot$/ },
  { at: at(`${BACKEND_AUTH}\\.key\\.location`), keys: ['queryParameter', 'cookie', 'expression'] },
  {
    at: at(`${POLICIES}\\.ai`),
    keys: ['transformations', 'finalTransformations', 'promptCaching'],
  },
  {
    at: at(GUARD),
    keys: ['bedrockGuardrails', 'googleModelArmor', 'azureContentSafety'],
    hint: 'this version has `regex`, `webhook` and `openAIModeration`',
  },
  { at: at(`${GUARD}\\.webhook\\.headers`), keys: [':method', ':scheme', ':authority', ':path'] },
  {
    at: at(`${GUARD}\\.webhook\\.target`),
    keys: ['service'],
    hint: 'this version has `host` and `backend`',
  },
  { at: at(`${GUARD}\\.webhook\\.target\\.host`), values: /^unix:/ },
  {
    at: at(MODERATION_POLICIES),
    keys: ['requestHeaderModifier', 'responseHeaderModifier', 'http', 'tcp', 'backendTunnel'],
    hint: 'this version has `backendAuth` and `backendTLS`',
  },

  {
    at: at(BACKEND),
    keys: ['service', 'aws', 'internal', 'dynamic', 'routeGroup', 'invalid'],
    hint: 'this version has `host`, `ai`, `mcp` and `backend`',
  },
  { at: at(`${BACKEND}\\.host`), values: /^unix:/ },
  {
    at: at(`${PROVIDER}\\.provider`),
    keys: ['gemini', 'vertex', 'bedrock', 'azure', 'azureOpenAI', 'copilot'],
    hint: 'this version has `openAI`, `anthropic` and `custom`',
  },
  { at: at(`${PROVIDER}\\.provider\\.openAI`), keys: ['moderation'] },
  {
    at: at(`${PROVIDER}\\.provider\\.custom\\.formats\\[\\]\\.type`),
    values: /^(?:generateContent|geminiCountTokens|realtime|rerank)$/,
  },
  {
    at: at(`(?:${PROVIDER}|${POLICIES}\\.ai)\\.routes\\.[^\\0]*`),
    values: /^(?:rerank|realtime|generateContent|geminiCountTokens)$/,
  },
]

export function findUnsupported(data: unknown): Finding[] {
  const findings: Finding[] = []
  visit(data, [], '', findings)
  return findings
}

function visit(value: unknown, path: Path, place: string, findings: Finding[]): void {
  if (typeof value === 'string') {
    const refusal = REFUSALS.find((entry) => entry.values?.test(value) && entry.at.test(place))
    if (refusal !== undefined) {
      const message = `\`${value}\` is not supported by this version`
      findings.push({ path, message, hint: refusal.hint })
    }
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) visit(item, [...path, index], `${place}[]`, findings)
  } else if (typeof value === 'object' && value !== null) {
    const here = REFUSALS.filter((entry) => entry.keys !== undefined && entry.at.test(place))
    for (const [key, inner] of Object.entries(value)) {
      const refusal = here.find((entry) => entry.keys?.includes(key))
      if (refusal === undefined)
        visit(inner, [...path, key], place === '' ? key : `${place}.${key}`, findings)
      else findings.push(refused(refusal, [...path, key], key))
    }
  }
}

function refused(refusal: Refusal, path: Path, key: string): Finding {
  const message = refusal.message?.replace('{key}', key) ?? `\`${key}\` is not supported by this version`
  return { path, message, hint: refusal.hint, atKey: true }
}
