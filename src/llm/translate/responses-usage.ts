/** Token usage of the Responses API, by way of our own record. Its input includes what the cache read and wrote. */
import type { Usage } from '../../core/usage.ts'
import type { ResponsesUsage } from '../wire/openai-responses.ts'
import { countOf, objectOf } from './reply-values.ts'
import type { Json } from './request-values.ts'

export function usageOfResponses(usage: Json): Usage {
  const details = objectOf(usage.input_tokens_details)
  return {
    inputTokens: countOf(usage.input_tokens),
    outputTokens: countOf(usage.output_tokens),
    cacheReadTokens: countOf(details.cached_tokens),
    cacheWriteTokens: countOf(details.cache_write_tokens),
    reasoningTokens: countOf(objectOf(usage.output_tokens_details).reasoning_tokens),
  }
}

export function toResponsesUsage(usage: Usage): ResponsesUsage {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: {
      cached_tokens: usage.cacheReadTokens,
      cache_write_tokens: usage.cacheWriteTokens,
    },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
  }
}
