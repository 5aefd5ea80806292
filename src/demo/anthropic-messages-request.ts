/** Takes a messages request as the real API would, or refuses it in Anthropic's words. */
import { schemaRefusal } from './anthropic-errors.ts'
import { checkRequest, checkTurns, type Strictness } from './anthropic-messages-rules.ts'
import {
  type CountRequest,
  countRequest,
  type MessagesRequest,
  messagesRequest,
} from './anthropic-messages-schema.ts'

export function parseMessagesRequest(body: unknown, strictness: Strictness): MessagesRequest {
  const parsed = messagesRequest.safeParse(body, { reportInput: true })
  if (!parsed.success) throw schemaRefusal(parsed.error, body)
  const request = parsed.data
  checkRequest(request, strictness)
  return request
}

export function parseCountRequest(body: unknown, strictness: Strictness): CountRequest {
  const parsed = countRequest.safeParse(body, { reportInput: true })
  if (!parsed.success) throw schemaRefusal(parsed.error, body)
  checkTurns(parsed.data.messages, strictness)
  return parsed.data
}
