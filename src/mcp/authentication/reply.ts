/** Answers of the gateway's own on OAuth paths; browsers may read all of them, for MCP clients run there, too. */
export interface Reply {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
  /** For the log; never shown. */
  readonly cause?: unknown
}

const JSON_TYPE = 'application/json'

function corsHeaders(methods: string): Record<string, string> {
  return {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': methods,
    // `*` would not cover Authorization, which clients with a secret send to the token endpoint.
    'access-control-allow-headers': 'authorization, content-type, mcp-protocol-version',
  }
}

export function jsonReply(status: number, body: unknown, cacheControl = 'no-store'): Reply {
  const headers = { 'content-type': JSON_TYPE, 'cache-control': cacheControl }
  return { status, headers, body: JSON.stringify(body) }
}

/** https://www.rfc-editor.org/rfc/rfc6749#section-5.2 */
export function errorReply(status: number, error: string, description: string, cause?: unknown): Reply {
  const reply = jsonReply(status, { error, error_description: description })
  return cause === undefined ? reply : { ...reply, cause }
}

/**
 * An endpoint that takes `method` only: answers preflights, HEAD where there is GET, and refuses the rest.
 */
export async function answerTo(
  request: { readonly method: string },
  method: 'GET' | 'POST',
  answer: () => Promise<Reply> | Reply,
): Promise<Reply> {
  const allow = method === 'GET' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS'
  const cors = corsHeaders(allow)
  if (request.method === 'OPTIONS')
    return { status: 204, headers: { ...cors, 'access-control-max-age': '300' }, body: '' }
  const isHead = method === 'GET' && request.method === 'HEAD'
  if (request.method !== method && !isHead) {
    const reply = errorReply(405, 'invalid_request', `this endpoint takes ${allow}`)
    return { ...reply, headers: { ...cors, ...reply.headers, allow } }
  }
  const reply = await answer()
  return { ...reply, headers: { ...cors, ...reply.headers }, body: isHead ? '' : reply.body }
}
