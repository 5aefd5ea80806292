/**
 * Token usage in both wire formats, by way of our own record.
 *
 * The surprise is in the input: OpenAI's `prompt_tokens` include what was read from the cache and written to
 * it, Anthropic's `input_tokens` do not.
 */
import type { Usage } from '../../core/usage.ts'
import type { MessagesUsage } from '../wire/anthropic-messages.ts'
import type { ChatServiceTier, ChatUsage } from '../wire/openai-chat.ts'
import { countOf, objectOf } from './reply-values.ts'
import type { Json } from './request-values.ts'

export const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
}

export function usageOfMessages(usage: Json): Usage {
  const cacheReadTokens = countOf(usage.cache_read_input_tokens)
  const cacheWriteTokens = countOf(usage.cache_creation_input_tokens)
  return {
    inputTokens: countOf(usage.input_tokens) + cacheReadTokens + cacheWriteTokens,
    outputTokens: countOf(usage.output_tokens),
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens: countOf(objectOf(usage.output_tokens_details).thinking_tokens),
  }
}

export function usageOfChat(usage: Json): Usage {
  const details = objectOf(usage.prompt_tokens_details)
  return {
    inputTokens: countOf(usage.prompt_tokens),
    outputTokens: countOf(usage.completion_tokens),
    cacheReadTokens: countOf(details.cached_tokens),
    cacheWriteTokens: countOf(details.cache_write_tokens),
    reasoningTokens: countOf(objectOf(usage.completion_tokens_details).reasoning_tokens),
  }
}

export function toChatUsage(usage: Usage): ChatUsage {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cacheReadTokens,
      cache_write_tokens: usage.cacheWriteTokens,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
  }
}

export function toMessagesUsage(usage: Usage, serviceTier?: MessagesUsage['service_tier']): MessagesUsage {
  return {
    input_tokens: Math.max(0, usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens),
    cache_creation_input_tokens: usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    output_tokens: usage.outputTokens,
    ...(usage.reasoningTokens > 0 && { output_tokens_details: { thinking_tokens: usage.reasoningTokens } }),
    ...(serviceTier !== undefined && { service_tier: serviceTier }),
  }
}

/** Of Anthropic's tiers; `batch` has no counterpart. */
export function chatServiceTier(tier: unknown): ChatServiceTier | undefined {
  if (tier === 'standard') return 'default'
  return tier === 'priority' ? 'priority' : undefined
}

/** Of OpenAI's tiers; the others have no counterpart. */
export function messagesServiceTier(tier: unknown): MessagesUsage['service_tier'] {
  if (tier === 'default') return 'standard'
  return tier === 'priority' ? 'priority' : undefined
}
