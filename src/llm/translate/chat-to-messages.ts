/** The client speaks chat completions, the provider messages. What maps to what: `docs/translation.md`. */
import { toMessagesRequest } from './chat-to-messages-request.ts'
import { toChatCompletion } from './chat-to-messages-response.ts'
import { type ChatStreamState, chatStream } from './chat-to-messages-stream.ts'
import { providerError } from './provider-errors.ts'
import type { Translation } from './translation.ts'

export const chatToMessages: Translation<ChatStreamState> = {
  client: 'completions',
  provider: 'messages',
  request: toMessagesRequest,
  response: toChatCompletion,
  stream: chatStream,
  error: (status, body) => providerError('completions', status, body),
}
