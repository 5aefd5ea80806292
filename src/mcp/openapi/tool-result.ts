/**
 * An HTTP reply as the result of a tool call.
 *
 * Unlike upstream's, a reply of 3xx or 4xx is marked as an error: otherwise neither the model nor the metrics see
 * that the call failed.
 */
import { isObject, type JsonObject } from './json.ts'

export interface CallResult {
  readonly content: readonly { readonly type: 'text'; readonly text: string }[]
  readonly structuredContent?: JsonObject
  readonly isError?: true
}

export type ToolResult =
  | { readonly kind: 'result'; readonly result: CallResult }
  /** The server failed: a JSON-RPC error. */
  | { readonly kind: 'error'; readonly status: number; readonly message: string }

const MAX_MESSAGE = 1_000

/** `body` is decoded: no content-encoding. */
export function toolResult(status: number, contentType: string | undefined, body: Buffer): ToolResult {
  // Never throws: what is not UTF-8 becomes replacement characters. Takes off a byte order mark.
  const text = new TextDecoder().decode(body)
  if (status >= 500) {
    const excerpt = text.slice(0, MAX_MESSAGE).toWellFormed().trim()
    const message = `the API answered with status ${status}${excerpt === '' ? '' : `: ${excerpt}`}`
    return { kind: 'error', status, message }
  }
  const result = resultOf(status, contentType, text)
  return { kind: 'result', result: status >= 300 ? { ...result, isError: true } : result }
}

function resultOf(status: number, contentType: string | undefined, text: string): CallResult {
  const parsed = mayBeJson(contentType, text) ? parseJson(text) : undefined
  if (parsed === undefined) {
    const structuredContent = { code: status, message: text }
    return textResult(JSON.stringify(structuredContent), structuredContent)
  }
  const { value, json } = parsed
  if (value === null) return textResult('null')
  return isObject(value) ? textResult(json, value) : textResult(`{"data":${json}}`, { data: value })
}

const textResult = (text: string, structuredContent?: JsonObject): CallResult => ({
  content: [{ type: 'text', text }],
  ...(structuredContent !== undefined && { structuredContent }),
})

/** Plenty of servers send JSON as text; a number in plain text is text. */
function mayBeJson(contentType: string | undefined, text: string): boolean {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return type === '' || /[/+]json$/.test(type) || (type === 'text/plain' && /^\s*[{[]/.test(text))
}

/** Undefined: not JSON, or nested too deeply to be written again. */
function parseJson(text: string): { readonly value: unknown; readonly json: string } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const compact = JSON.stringify(value)
    // An id of 64 bits does not survive being parsed, and a wrong id is worse than white space.
    return { value, json: /\d{16}/.test(text) ? text.trim() : compact }
  } catch {
    return undefined
  }
}
