/** A messages answer as a chat completion. */
import type { ChatCompletion, ChatToolCall } from '../wire/openai-chat.ts'
import { finishReason } from './finish-reasons.ts'
import { arrayOf, jsonTextOf, objectOf, textOf } from './reply-values.ts'
import { isObject, type Json } from './request-values.ts'
import { chatServiceTier, toChatUsage, usageOfMessages } from './token-usage.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

export function toChatCompletion(message: Json, context: TranslationContext): Json {
  if (!Array.isArray(message.content))
    throw new TranslationError('the provider sent an answer without content')
  const texts: string[] = []
  const thoughts: string[] = []
  const toolCalls: ChatToolCall[] = []
  for (const block of arrayOf(message.content).map(objectOf)) {
    switch (block.type) {
      case 'text':
        texts.push(textOf(block.text))
        break
      case 'thinking':
        thoughts.push(textOf(block.thinking))
        break
      case 'tool_use':
      case 'server_tool_use':
        toolCalls.push({
          id: textOf(block.id),
          type: 'function',
          function: { name: textOf(block.name), arguments: jsonTextOf(block.input ?? {}) },
        })
        break
      default: // redacted thinking, results of the provider's own tools: chat completions has no place for them
    }
  }

  const serviceTier = chatServiceTier(objectOf(message.usage).service_tier)
  return {
    id: textOf(message.id) || `chatcmpl-${context.id}`,
    object: 'chat.completion',
    created: context.now,
    model: textOf(message.model) || context.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: texts.length > 0 ? texts.join('') : null,
          refusal: null,
          ...(thoughts.length > 0 && { reasoning_content: thoughts.join('') }),
          ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
        },
        logprobs: null,
        finish_reason: finishReason(message.stop_reason),
      },
    ],
    ...(isObject(message.usage) && { usage: toChatUsage(usageOfMessages(message.usage)) }),
    ...(serviceTier !== undefined && { service_tier: serviceTier }),
  } satisfies ChatCompletion
}
