/** The client speaks messages, the provider chat completions. What maps to what: `docs/translation.md`. */
import { toChatRequest } from './messages-to-chat-request.ts'
import { toMessage } from './messages-to-chat-response.ts'
import { type MessagesStreamState, messagesStream } from './messages-to-chat-stream.ts'
import { providerError } from './provider-errors.ts'
import type { Translation } from './translation.ts'

export const messagesToChat: Translation<MessagesStreamState> = {
  client: 'messages',
  provider: 'completions',
  request: toChatRequest,
  response: toMessage,
  stream: messagesStream,
  error: (status, body) => providerError('messages', status, body),
}
