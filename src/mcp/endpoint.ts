/** An MCP backend as clients see it: who may come in, and which transport they speak. */
import { withoutHopByHop } from '../core/headers.ts'
import type { McpBackend } from './backend.ts'
import { forwardedHeaders } from './http.ts'
import { failure, RPC_ERRORS } from './json-rpc.ts'
import { serveLegacy } from './legacy-endpoint.ts'
import { isLoopbackAddress, rebindingProblem } from './rebinding.ts'
import { Refusal, refusalOf } from './refusal.ts'
import type { Caller, EndpointDependencies, McpRequest } from './request.ts'
import { serveStreamable } from './streamable-endpoint.ts'
import { TargetError } from './transport.ts'

export async function serveMcp(
  backend: McpBackend,
  request: McpRequest,
  deps: EndpointDependencies,
): Promise<void> {
  try {
    await serve(backend, request, deps)
  } catch (thrown) {
    const error = thrown instanceof TargetError ? refusalOf(thrown) : thrown
    if (!(error instanceof Refusal)) throw error
    refuse(request, error)
  }
}

export function refuse({ port }: McpRequest, error: Refusal): void {
  const body = failure(error.requestId ?? null, error.code, error.message, error.data)
  const headers = { 'content-type': 'application/json', ...error.headers }
  const { type, message } = error
  port.refuse(error.status, headers, Buffer.from(JSON.stringify(body)), { type, message })
}

async function serve(backend: McpBackend, request: McpRequest, deps: EndpointDependencies): Promise<void> {
  checkOrigin(backend, request)
  const { authentication } = backend.spec
  const { method, path, query, headers, scheme, host, body, port } = request
  const wellKnown = await authentication?.wellKnown({ method, path, query, headers, scheme, host, body })
  if (wellKnown !== undefined) {
    if (wellKnown.cause !== undefined) logIdentityProvider(deps, wellKnown.cause)
    port.reply(wellKnown.status, { ...wellKnown.headers }, Buffer.from(wellKnown.body))
    return
  }
  if (await passWellKnown(backend, request)) return
  const caller = await identify(backend, request, deps)
  if (caller === undefined) return
  const serving = { backend, request, deps, caller }
  if (path.endsWith('/sse')) await serveLegacy(serving)
  else await serveStreamable(serving)
}

function checkOrigin(backend: McpBackend, { headers, host, localAddress }: McpRequest): void {
  const { dnsRebindingProtection, hostnames } = backend.spec
  if (!(dnsRebindingProtection ?? isLoopbackAddress(localAddress))) return
  const problem = rebindingProblem({ host, origin: headers.origin?.toString(), hostnames })
  if (problem === undefined) return
  const message = `${problem}: refused as DNS rebinding`
  throw new Refusal(403, RPC_ERRORS.invalidRequest, message, { type: 'denied' })
}

/** The documents of RFC 9728, RFC 8414 and OpenID, and nothing that a server could take for another path. */
const DOCUMENT =
  /^\/\.well-known\/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)(?:\/[\w~-]+(?:\.[\w~-]+)*)*\/?$/

/** A lone server that asks for tokens itself also says where to get them. True when that was the question. */
async function passWellKnown({ spec, targets }: McpBackend, request: McpRequest): Promise<boolean> {
  const { method, path, query, headers, port } = request
  const [only, another] = targets
  const isAsked = DOCUMENT.test(path) && (method === 'GET' || method === 'OPTIONS')
  if (!isAsked || spec.authentication !== undefined || another !== undefined) return false
  if (only?.fetchDocument === undefined) return false
  const full = query === '' ? path : `${path}?${query}`
  const { authorization: _, cookie: __, ...kept } = forwardedHeaders(headers)
  const asked = { ...kept, accept: headers.accept }
  const { reply, abort } = only.fetchDocument({ method, path: full, headers: asked, body: null })
  port.onClosed(abort)
  const timer = setTimeout(abort, only.connectTimeoutMs === 0 ? DOCUMENT_MS : only.connectTimeoutMs)
  try {
    const answered = await reply
    const { 'content-length': ___, ...passed } = withoutHopByHop(answered.headers)
    port.reply(answered.status, passed, answered.body)
  } finally {
    clearTimeout(timer)
  }
  return true
}

const DOCUMENT_MS = 30_000

async function identify(
  backend: McpBackend,
  request: McpRequest,
  deps: EndpointDependencies,
): Promise<Caller | undefined> {
  const { authentication } = backend.spec
  const { headers, path, scheme, host, port, caller, jwt } = request
  if (authentication === undefined) return { owner: caller, jwt, headers }
  const outcome = await authentication.authenticate({ headers, path, scheme, host })
  // A credential that was for the gateway is none to pass on, accepted or not.
  const { [authentication.header]: _, ...rest } = headers
  switch (outcome.kind) {
    case 'anonymous':
      return { owner: caller, jwt: undefined, headers: rest }
    case 'caller': {
      const { iss, sub, azp, client_id } = outcome.claims
      const owner = JSON.stringify([caller, iss, sub ?? azp ?? client_id])
      return { owner, jwt: outcome.claims, headers: rest }
    }
    case 'refused': {
      const isUnavailable = outcome.status === 503
      if (outcome.cause !== undefined) logIdentityProvider(deps, outcome.cause)
      port.refuse(outcome.status, { ...outcome.headers }, Buffer.from(outcome.body), {
        type: isUnavailable ? 'unavailable' : 'denied',
        message: isUnavailable
          ? 'the keys of the issuer cannot be fetched'
          : 'no token that is accepted here',
      })
      return undefined
    }
    default:
      return outcome satisfies never
  }
}

/** With all that it tried. */
function logIdentityProvider(deps: EndpointDependencies, cause: unknown): void {
  const errors = cause instanceof AggregateError ? [cause, ...cause.errors] : [cause]
  const said = errors.map((one) => (one instanceof Error ? one.message : String(one)))
  deps.log('warn', 'the identity provider cannot be used', { error: said.join('; ') })
}
