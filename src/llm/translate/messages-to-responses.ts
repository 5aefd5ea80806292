/** The client speaks messages, the provider Responses. What maps to what: `docs/translation.md`. */
import { toResponsesRequest } from './messages-to-responses-request.ts'
import { toMessage } from './messages-to-responses-response.ts'
import {
  type MessagesFromResponsesState,
  messagesFromResponsesStream,
} from './messages-to-responses-stream.ts'
import { providerError } from './provider-errors.ts'
import type { Translation } from './translation.ts'

export const messagesToResponses: Translation<MessagesFromResponsesState> = {
  client: 'messages',
  provider: 'responses',
  request: toResponsesRequest,
  response: toMessage,
  stream: messagesFromResponsesStream,
  error: (status, body) => providerError('messages', status, body),
}
