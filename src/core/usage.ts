/**
 * Token usage, normalised: one meaning for every provider.
 *
 * OpenAI counts cached tokens inside its input, Anthropic beside it; both count reasoning inside the output.
 * Here input includes everything that was read and output everything that was written; the parts stand beside
 * and are never added again.
 */
export interface Usage {
  /** All input tokens: fresh, read from the cache and written to it. */
  readonly inputTokens: number
  /** All output tokens, reasoning included. */
  readonly outputTokens: number
  /** Part of `inputTokens`. */
  readonly cacheReadTokens: number
  /** Part of `inputTokens`. */
  readonly cacheWriteTokens: number
  /** Part of `outputTokens`; 0 where the provider does not split it out. */
  readonly reasoningTokens: number
}

/**
 * Where the numbers come from. `provider`: its final word. `partial`: what it had reported when the stream was
 * cut, a lower bound. `estimated`: counted by a tokenizer here. `none`: nothing is known.
 */
export type UsageSource = 'provider' | 'partial' | 'estimated' | 'none'

/** USD. `total` is the sum of the parts. */
export interface Cost {
  readonly total: number
  readonly input: number
  readonly output: number
}

/** Whether a price was known, in upstream's words (`cost_catalog_lookups_total{status}`). */
export type CostStatus = 'Exact' | 'Unpriced' | 'Missing' | 'NoCatalog'
