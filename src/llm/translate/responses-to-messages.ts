/** The client speaks Responses, the provider messages. What maps to what: `docs/translation.md`. */
import { finishReason } from './finish-reasons.ts'
import { providerError } from './provider-errors.ts'
import { jsonTextOf, objectOf, textOf } from './reply-values.ts'
import { isObject, type Json } from './request-values.ts'
import { newAnswer, responseOf } from './responses-answer.ts'
import {
  begin,
  finish,
  openCall,
  writeArguments,
  writeReasoning,
  writeText,
} from './responses-event-writer.ts'
import { incompleteReason } from './responses-to-chat-stream.ts'
import { toMessagesRequest } from './responses-to-messages-request.ts'
import {
  noteFacts,
  type ResponsesFromMessagesState,
  responsesFromMessagesStream,
} from './responses-to-messages-stream.ts'
import { usageOfMessages } from './token-usage.ts'
import { type Translation, type TranslationContext, TranslationError } from './translation.ts'

function toResponse(message: Json, context: TranslationContext): Json {
  if (!Array.isArray(message.content)) {
    throw new TranslationError('the provider sent an answer without content')
  }
  const answer = newAnswer(context)
  noteFacts(answer, message)
  if (isObject(message.usage)) answer.usage = usageOfMessages(message.usage)
  begin(answer)
  for (const block of message.content.map(objectOf)) {
    switch (block.type) {
      case 'text':
        writeText(answer, textOf(block.text))
        break
      case 'thinking':
        writeReasoning(answer, textOf(block.thinking))
        break
      case 'tool_use':
        writeArguments(
          answer,
          openCall(answer, textOf(block.id), textOf(block.name)),
          jsonTextOf(block.input ?? {}),
        )
        break
      default: // redacted thinking, the provider's own tools: the Responses API has no place for them
    }
  }
  finish(answer, incompleteReason(finishReason(message.stop_reason)))
  return { ...responseOf(answer) }
}

export const responsesToMessages: Translation<ResponsesFromMessagesState> = {
  client: 'responses',
  provider: 'messages',
  request: toMessagesRequest,
  response: toResponse,
  stream: responsesFromMessagesStream,
  error: (status, body) => providerError('responses', status, body),
}
