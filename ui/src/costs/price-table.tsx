/**
 * The prices that costs are reckoned with.
 */
import { useState } from 'preact/hooks'
import type { CostsModels } from '../../../src/admin/api-types.ts'
import { get } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { exact, plural } from '../format/numbers.ts'
import { Loaded, Skeleton } from '../parts/states.tsx'

const SHOWN_AT_MOST = 60

interface Price {
  readonly provider: string
  readonly model: string
  readonly input?: number
  readonly output?: number
}

export function PriceTable() {
  const query = useQuery('prices', (signal) => get<CostsModels>('/api/costs/models', signal))
  return (
    <section class="card" aria-label="Prices">
      <Loaded query={query} what="The prices cannot be shown" skeleton={<Skeleton height={200} />}>
        {({ loaded, providers }) =>
          loaded ? (
            <Prices
              prices={providers.flatMap(({ provider, models }) =>
                models.map((model) => ({ provider, ...model })),
              )}
            />
          ) : (
            <p class="padded-box soft">No price list is loaded: costs are not known.</p>
          )
        }
      </Loaded>
    </section>
  )
}

function Prices({ prices }: { readonly prices: readonly Price[] }) {
  const [text, setText] = useState('')
  const words = text.toLowerCase().split(/\s+/)
  const fitting = prices.filter(({ provider, model }) => {
    const name = `${provider} ${model}`.toLowerCase()
    return words.every((word) => name.includes(word))
  })
  const shown = fitting.slice(0, SHOWN_AT_MOST)

  return (
    <>
      <div class="card-head">
        <h2>Prices</h2>
        <span class="soft small">USD per million tokens, {plural(prices.length, 'model')}</span>
        <input
          class="input push"
          type="search"
          aria-label="Find a model's price"
          placeholder="Find a model"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <div class="table-frame price-frame" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">Provider</th>
              <th scope="col" class="number">
                Input
              </th>
              <th scope="col" class="number">
                Output
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ provider, model, input, output }) => (
              <tr key={`${provider} ${model}`}>
                <th scope="row">{model}</th>
                <td class="soft">{provider}</td>
                <PriceCell price={input} />
                <PriceCell price={output} />
              </tr>
            ))}
            {shown.length === 0 && (
              <tr>
                <td colSpan={4} class="soft">
                  No price for a model with this name: its requests are counted without a cost.
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
      {fitting.length > shown.length && (
        <p class="search-foot soft small">
          {plural(fitting.length - shown.length, 'more model')}: type to narrow.
        </p>
      )}
    </>
  )
}

function PriceCell({ price }: { readonly price: number | undefined }) {
  if (price === undefined) {
    return (
      <td
        class="number faint"
        title="The price depends on the size of the request, or on more than one number."
      >
        varies
      </td>
    )
  }
  return (
    <td class="number" title={`$${exact(price)}`}>
      ${price.toFixed(price < 0.1 && price > 0 ? 3 : 2)}
    </td>
  )
}
