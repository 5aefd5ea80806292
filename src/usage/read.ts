/**
 * A provider's own usage figures -> `Usage`, the one place where the vendors' differences live.
 *
 * OpenAI's input figure includes cached tokens; Anthropic's excludes both what was read from the cache and what
 * was written to it. Figures are read defensively: a provider may send null, or leave any of them out.
 */
import type { WireFormat } from '../core/exchange.ts'
import type { Usage } from '../core/usage.ts'

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
const within = (parent: Json, key: string): Json => {
  const value = parent[key]
  return isObject(value) ? value : {}
}

/** Chat completions and embeddings. */
function openAiUsage(usage: Json): Usage | undefined {
  const input = count(usage.prompt_tokens)
  const output = count(usage.completion_tokens)
  if (input === undefined && output === undefined) return undefined
  const prompt = within(usage, 'prompt_tokens_details')
  return {
    inputTokens: input ?? 0,
    outputTokens: output ?? 0,
    cacheReadTokens: count(prompt.cached_tokens) ?? 0,
    cacheWriteTokens: count(prompt.cache_write_tokens) ?? 0,
    reasoningTokens: count(within(usage, 'completion_tokens_details').reasoning_tokens) ?? 0,
  }
}

function responsesUsage(usage: Json): Usage | undefined {
  const input = count(usage.input_tokens)
  const output = count(usage.output_tokens)
  if (input === undefined && output === undefined) return undefined
  const details = within(usage, 'input_tokens_details')
  return {
    inputTokens: input ?? 0,
    outputTokens: output ?? 0,
    cacheReadTokens: count(details.cached_tokens) ?? 0,
    cacheWriteTokens: count(details.cache_write_tokens) ?? 0,
    reasoningTokens: count(within(usage, 'output_tokens_details').reasoning_tokens) ?? 0,
  }
}

function anthropicUsage(usage: Json): Usage | undefined {
  const fresh = count(usage.input_tokens)
  const output = count(usage.output_tokens)
  if (fresh === undefined && output === undefined) return undefined
  const read = count(usage.cache_read_input_tokens) ?? 0
  const written = count(usage.cache_creation_input_tokens) ?? 0
  return {
    inputTokens: (fresh ?? 0) + read + written,
    outputTokens: output ?? 0,
    cacheReadTokens: read,
    cacheWriteTokens: written,
    reasoningTokens: count(within(usage, 'output_tokens_details').thinking_tokens) ?? 0,
  }
}

/** The figures in a `usage` object of the given format; undefined when it holds none. */
export function readUsage(format: WireFormat, usage: unknown): Usage | undefined {
  if (!isObject(usage)) return undefined
  if (format === 'messages') return anthropicUsage(usage)
  if (format === 'responses') return responsesUsage(usage)
  return openAiUsage(usage)
}

/**
 * Anthropic reports twice: `message_start` has the input, `message_delta` the cumulative output and sometimes the
 * input again. A later figure replaces an earlier one, it is never added.
 */
export function laterUsage(earlier: unknown, later: unknown): Json {
  const merged: Record<string, unknown> = isObject(earlier) ? { ...earlier } : {}
  if (isObject(later)) {
    for (const [key, value] of Object.entries(later))
      if (value !== null && value !== undefined) merged[key] = value
  }
  return merged
}
