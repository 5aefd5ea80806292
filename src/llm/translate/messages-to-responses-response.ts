/** A Responses answer as a messages answer. */
import type { ContentBlock, Message, StopReason } from '../wire/anthropic-messages.ts'
import { stopReason } from './finish-reasons.ts'
import { providerStreamError } from './provider-errors.ts'
import { arrayOf, objectOf, textOf } from './reply-values.ts'
import type { Json } from './request-values.ts'
import { usageOfResponses } from './responses-usage.ts'
import { messagesServiceTier, toMessagesUsage } from './token-usage.ts'
import { parseToolArguments } from './tool-arguments.ts'
import { type TranslationContext, TranslationError } from './translation.ts'

export function toMessage(response: Json, context: TranslationContext): Json {
  refuseFailure(response)
  const content: ContentBlock[] = []
  let hasRefusal = false
  for (const [i, item] of arrayOf(response.output).map(objectOf).entries()) {
    switch (item.type) {
      case 'message':
        for (const part of arrayOf(item.content).map(objectOf)) {
          if (part.type === 'refusal') hasRefusal = true
          const text = textOf(part.text) || textOf(part.refusal)
          if (text !== '') content.push({ type: 'text', text })
        }
        break
      case 'reasoning':
        content.push(...thinkingBlocks(item))
        break
      case 'function_call':
        content.push({
          type: 'tool_use',
          id: textOf(item.call_id) || `tool_call_${i}`,
          name: textOf(item.name),
          input: parseToolArguments(textOf(item.arguments)),
        })
        break
      default: // the provider's own tools, which were not asked for
    }
  }

  return {
    id: textOf(response.id) || `msg_${context.id}`,
    type: 'message',
    role: 'assistant',
    model: textOf(response.model) || context.model,
    content,
    stop_reason: messageStopReason(response, {
      hasToolCalls: content.some((block) => block.type === 'tool_use'),
      hasRefusal,
    }),
    stop_sequence: null,
    usage: toMessagesUsage(
      usageOfResponses(objectOf(response.usage)),
      messagesServiceTier(response.service_tier),
    ),
  } satisfies Message
}

/** A failure may come with a status of success; it must not look like an empty answer. */
function refuseFailure(response: Json): void {
  if (response.status === 'failed' || response.status === 'cancelled') {
    const error = objectOf(providerStreamError('messages', response).error)
    throw new TranslationError(`the provider failed: ${textOf(error.message)}`)
  }
  if (!Array.isArray(response.output)) {
    throw new TranslationError('the provider sent an answer without output')
  }
}

/** The summary where there is one; servers with open models send the thoughts themselves. */
function thinkingBlocks(item: Json): ContentBlock[] {
  const summary = arrayOf(item.summary)
  return (summary.length > 0 ? summary : arrayOf(item.content)).flatMap((part): ContentBlock[] => {
    const thinking = textOf(objectOf(part).text)
    return thinking === '' ? [] : [{ type: 'thinking', thinking, signature: '' }]
  })
}

const OF_INCOMPLETE_REASON = new Map<unknown, string>([
  ['max_output_tokens', 'length'],
  ['content_filter', 'content_filter'],
])

export function messageStopReason(
  response: Json,
  facts: { readonly hasToolCalls: boolean; readonly hasRefusal: boolean },
): StopReason {
  if (response.status !== 'incomplete') return stopReason('stop', facts)
  // Cut short for a reason that is not known here: better "not all of it" than "all of it".
  const reason = objectOf(response.incomplete_details).reason
  return stopReason(OF_INCOMPLETE_REASON.get(reason) ?? 'length', facts)
}
