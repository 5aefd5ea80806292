/** The client speaks Responses, the provider chat completions. What maps to what: `docs/translation.md`. */
import { providerError } from './provider-errors.ts'
import { arrayOf, objectOf, textOf } from './reply-values.ts'
import type { Json } from './request-values.ts'
import { newAnswer, responseOf } from './responses-answer.ts'
import { begin, finish, openCall, writeArguments } from './responses-event-writer.ts'
import { toChatRequest } from './responses-to-chat-request.ts'
import {
  incompleteReason,
  noteFacts,
  type ResponsesFromChatState,
  responsesFromChatStream,
  writeSpeech,
} from './responses-to-chat-stream.ts'
import { type Translation, type TranslationContext, TranslationError } from './translation.ts'

function toResponse(completion: Json, context: TranslationContext): Json {
  const [first] = arrayOf(completion.choices)
  if (first === undefined) throw new TranslationError('the provider sent an answer without choices')
  const choice = objectOf(first)
  const message = objectOf(choice.message)
  const answer = newAnswer(context)
  noteFacts(answer, completion)
  begin(answer)
  writeSpeech(answer, message, arrayOf(objectOf(choice.logprobs).content))
  for (const call of arrayOf(message.tool_calls).map(objectOf)) {
    const called = objectOf(call.function)
    writeArguments(answer, openCall(answer, textOf(call.id), textOf(called.name)), textOf(called.arguments))
  }
  finish(answer, incompleteReason(choice.finish_reason))
  return { ...responseOf(answer) }
}

export const responsesToChat: Translation<ResponsesFromChatState> = {
  client: 'responses',
  provider: 'completions',
  request: toChatRequest,
  response: toResponse,
  stream: responsesFromChatStream,
  error: (status, body) => providerError('responses', status, body),
}
