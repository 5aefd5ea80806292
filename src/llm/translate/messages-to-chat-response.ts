/** A chat completion as a messages answer. */
import type { ContentBlock, Message } from '../wire/anthropic-messages.ts'
import { stopReason } from './finish-reasons.ts'
import { arrayOf, objectOf, textOf } from './reply-values.ts'
import { isObject, type Json } from './request-values.ts'
import { messagesServiceTier, toMessagesUsage, usageOfChat } from './token-usage.ts'
import { parseToolArguments } from './tool-arguments.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

export function toMessage(completion: Json, context: TranslationContext): Json {
  const choice = objectOf(arrayOf(completion.choices)[0])
  if (!isObject(choice.message)) throw new TranslationError('the provider sent an answer without a message')
  const { message } = choice
  const content: ContentBlock[] = []

  const reasoning = reasoningOf(message)
  if (reasoning !== '') content.push({ type: 'thinking', thinking: reasoning, signature: '' })
  const text = contentText(message.content)
  if (text !== '') content.push({ type: 'text', text })
  const refusal = textOf(message.refusal)
  if (refusal !== '') content.push({ type: 'text', text: refusal })
  const toolCalls = arrayOf(message.tool_calls).map(objectOf)
  for (const [i, call] of toolCalls.entries()) {
    const called = objectOf(call.function)
    content.push({
      type: 'tool_use',
      id: textOf(call.id) || missingToolId(i),
      name: textOf(called.name),
      input: parseToolArguments(textOf(called.arguments)),
    })
  }

  return {
    id: textOf(completion.id) || `msg_${context.id}`,
    type: 'message',
    role: 'assistant',
    model: textOf(completion.model) || context.model,
    content,
    stop_reason: stopReason(choice.finish_reason, {
      hasToolCalls: toolCalls.length > 0,
      hasRefusal: refusal !== '',
    }),
    stop_sequence: null,
    usage: toMessagesUsage(
      usageOfChat(objectOf(completion.usage)),
      messagesServiceTier(completion.service_tier),
    ),
  } satisfies Message
}

/** Two names for one thing: OpenAI-shaped servers never agreed on it, and OpenAI has none. */
export const reasoningOf = (message: Json): string =>
  textOf(message.reasoning_content) || textOf(message.reasoning)

/** Some servers send parts here. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content
  return arrayOf(content)
    .map((part) => textOf(objectOf(part).text))
    .join('')
}

/** For servers that give tool calls no id; a tool's result has to name one. */
export const missingToolId = (index: number): string => `tool_call_${index}`
