/**
 * Tokens to USD, from the bundled price table or the configuration's own catalog.
 *
 * Finding a model's prices costs some 30 microseconds in the table's library, more than a request may spend here,
 * so the found prices are kept per provider and model; the arithmetic on them is ours.
 */
import { createRequire } from 'node:module'
import type { ModelPrice } from '@pydantic/genai-prices'
import { z } from 'zod'
import type { Cost, CostStatus, Usage } from '../core/usage.ts'

// Loaded with the first price: some 11 MB and 40 ms that do not stand between the start and its first answer.
let table: typeof import('@pydantic/genai-prices') | undefined

function priceTable() {
  table ??= createRequire(import.meta.url)(
    '@pydantic/genai-prices',
  ) as typeof import('@pydantic/genai-prices')
  return table
}

/** USD per million tokens, as upstream's catalog writes it: decimal strings. */
const rate = z
  .union([
    z.string().regex(/^\d+(\.\d+)?$/, { error: 'expected a decimal number' }),
    z.number().nonnegative(),
  ])
  .transform(Number)

const ratesSchema = z.strictObject({
  input: rate.optional(),
  output: rate.optional(),
  cacheRead: rate.optional(),
  cacheWrite: rate.optional(),
  reasoning: rate.optional(),
  inputAudio: rate.optional(),
  outputAudio: rate.optional(),
})

export const catalogSchema = z.strictObject({
  providers: z.record(
    z.string(),
    z.strictObject({
      models: z.record(
        z.string(),
        z.strictObject({
          rates: ratesSchema,
          /** Base rates are overlaid once the input exceeds `contextOver` tokens; strictly increasing. */
          tiers: z
            .array(z.strictObject({ contextOver: z.int().nonnegative(), rates: ratesSchema }))
            .refine(
              (tiers) => tiers.every((tier, at) => tier.contextOver > (tiers[at - 1]?.contextOver ?? -1)),
              {
                error: 'contextOver must increase from tier to tier',
              },
            )
            .optional(),
          tags: z.array(z.string()).optional(),
        }),
      ),
    }),
  ),
})
export type Catalog = z.output<typeof catalogSchema>

interface Rates {
  readonly input: number | undefined
  readonly output: number | undefined
  readonly cacheRead: number | undefined
  readonly cacheWrite: number | undefined
  readonly reasoning: number | undefined
}

type RatesFor = (inputTokens: number) => Rates

export interface Priced {
  readonly cost: Cost | undefined
  readonly status: CostStatus
}

export interface Pricing {
  /**
   * The response's model is looked up first, then the request's: in the configuration's catalogs, then in the
   * built-in table. Providers answer with dated names (`gpt-4o-mini-2024-07-18`), which the table knows and a
   * catalog need not.
   */
  readonly price: (
    provider: string,
    responseModel: string | undefined,
    requestModel: string | undefined,
    usage: Usage,
  ) => Priced
  /** Of those providers, and of all in the configuration's catalogs; USD per million tokens. */
  readonly list: (providers: readonly string[]) => readonly ListedPrices[]
}

export interface ListedPrices {
  readonly provider: string
  readonly models: readonly {
    readonly model: string
    readonly input: number | undefined
    readonly output: number | undefined
  }[]
}

const CACHE_LIMIT = 2000
/** Some prices hold only from a date on, or at some hours. */
const CACHE_MS = 300_000

function fromTable(price: ModelPrice): RatesFor {
  const at = (key: string, inputTokens: number): number | undefined => {
    const entry = price[key]
    if (entry === undefined || typeof entry === 'number') return entry
    let found = entry.base
    for (const tier of entry.tiers) if (inputTokens > tier.start) found = tier.price
    return found
  }
  return (inputTokens) => ({
    input: at('input_mtok', inputTokens),
    output: at('output_mtok', inputTokens),
    cacheRead: at('cache_read_mtok', inputTokens),
    cacheWrite: at('cache_write_mtok', inputTokens),
    reasoning: at('output_reasoning_mtok', inputTokens),
  })
}

type CatalogModel = Catalog['providers'][string]['models'][string]

function fromCatalog(model: CatalogModel): RatesFor {
  return (inputTokens) => {
    let rates = model.rates
    for (const tier of model.tiers ?? [])
      if (inputTokens > tier.contextOver) rates = { ...rates, ...tier.rates }
    return {
      input: rates.input,
      output: rates.output,
      cacheRead: rates.cacheRead,
      cacheWrite: rates.cacheWrite,
      reasoning: rates.reasoning,
    }
  }
}

/** A missing cache rate falls back to the input's, a missing reasoning rate to the output's: never to nothing. */
function costOf(rates: Rates, usage: Usage): Cost | undefined {
  if (rates.input === undefined && rates.output === undefined) return undefined
  const input = rates.input ?? 0
  const output = rates.output ?? 0
  const fresh = Math.max(0, usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens)
  const plain = Math.max(0, usage.outputTokens - usage.reasoningTokens)
  const inputCost =
    (fresh * input +
      usage.cacheReadTokens * (rates.cacheRead ?? input) +
      usage.cacheWriteTokens * (rates.cacheWrite ?? input)) /
    1e6
  const outputCost = (plain * output + usage.reasoningTokens * (rates.reasoning ?? output)) / 1e6
  return { total: inputCost + outputCost, input: inputCost, output: outputCost }
}

type Find = (provider: string, model: string) => RatesFor | undefined

/** By provider and model; without a key made of both, which would be a new text for each request. */
class Table<T> {
  readonly #byProvider = new Map<string, Map<string, T>>()
  size = 0

  get(provider: string, model: string): T | undefined {
    return this.#byProvider.get(provider)?.get(model)
  }

  set(provider: string, model: string, value: T): void {
    const known = this.#byProvider.get(provider)
    const models = known ?? new Map<string, T>()
    if (known === undefined) this.#byProvider.set(provider, models)
    if (!models.has(model)) this.size += 1
    models.set(model, value)
  }

  clear(): void {
    this.#byProvider.clear()
    this.size = 0
  }

  providers(): Iterable<string> {
    return this.#byProvider.keys()
  }

  models(provider: string): Iterable<string> {
    return this.#byProvider.get(provider)?.keys() ?? []
  }
}

/** `catalogs`: later ones win, model by model. `now`: milliseconds since 1970. */
export function createPricing(catalogs: readonly Catalog[] = [], now: () => number = Date.now): Pricing {
  const own = new Table<RatesFor>()
  for (const catalog of catalogs) {
    for (const [provider, { models }] of Object.entries(catalog.providers)) {
      for (const [name, model] of Object.entries(models)) own.set(provider, name, fromCatalog(model))
    }
  }
  const fromCatalogs: Find = (provider, model) => own.get(provider, model)
  const found = new Table<{ readonly rates: RatesFor | undefined; readonly until: number }>()

  const fromBuiltIn: Find = (provider, model) => {
    const cached = found.get(provider, model)
    const at = now()
    if (cached !== undefined && cached.until > at) return cached.rates
    // A provider that the table does not know has no prices there: its model may only be called like another's.
    const none = { input_tokens: 0, output_tokens: 0 }
    const price = priceTable().calcPrice(none, model, {
      providerId: provider,
      timestamp: new Date(at),
    })?.model_price
    const rates = price === undefined ? undefined : fromTable(price)
    if (found.size >= CACHE_LIMIT) found.clear()
    found.set(provider, model, { rates, until: at + CACHE_MS })
    return rates
  }
  const finds = own.size === 0 ? [fromBuiltIn] : [fromCatalogs, fromBuiltIn]

  return {
    price(provider, responseModel, requestModel, usage) {
      let priced = false
      for (const find of finds) {
        for (const model of [responseModel, requestModel]) {
          const rates = model === undefined ? undefined : find(provider, model)
          if (rates === undefined) continue
          const cost = costOf(rates(usage.inputTokens), usage)
          if (cost !== undefined) return { cost, status: 'Exact' }
          priced = true
        }
      }
      return { cost: undefined, status: priced ? 'Unpriced' : 'Missing' }
    },
    list(providers) {
      const names = new Set(providers)
      for (const provider of own.providers()) names.add(provider)
      return [...names].map((provider) => {
        const models = new Set(
          priceTable()
            .findProvider({ providerId: provider })
            ?.models.map(({ id }) => id),
        )
        for (const model of own.models(provider)) models.add(model)
        return {
          provider,
          models: [...models].map((model) => {
            const rates = (fromCatalogs(provider, model) ?? fromBuiltIn(provider, model))?.(0)
            return { model, input: rates?.input, output: rates?.output }
          }),
        }
      })
    },
  }
}
