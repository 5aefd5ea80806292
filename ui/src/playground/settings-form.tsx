import type { Analytics, AnalyticsQuery, CostsModels } from '../../../src/admin/api-types.ts'
import { get, post } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { setQuery } from '../navigation/location.ts'
import { ClientKeyField } from '../session/client-key-field.tsx'
import { keepsRequests } from '../session/session.ts'
import { type Settings, settings } from './conversation.ts'

const SUGGESTED_AT_MOST = 200
const WEEK_MS = 7 * 86_400_000

export function SettingsForm({ model }: { readonly model: string }) {
  const { system, temperature, maxTokens, isStreamed } = settings.value
  const change = (changes: Partial<Settings>) => {
    settings.value = { ...settings.value, ...changes }
  }
  const isNoNumber = (text: string) => text.trim() !== '' && !Number.isFinite(Number(text))

  return (
    <form class="settings stack" aria-label="Settings" onSubmit={(event) => event.preventDefault()}>
      <ModelField model={model} />
      <label class="label">
        System prompt
        <textarea
          class="input"
          rows={5}
          value={system}
          placeholder="None"
          onInput={(event) => change({ system: event.currentTarget.value })}
        />
      </label>
      <div class="settings-pair">
        <label class="label">
          Temperature
          <input
            class="input"
            inputMode="decimal"
            placeholder="default"
            aria-invalid={isNoNumber(temperature)}
            value={temperature}
            onInput={(event) => change({ temperature: event.currentTarget.value })}
          />
        </label>
        <label class="label">
          Max tokens
          <input
            class="input"
            inputMode="numeric"
            placeholder="default"
            aria-invalid={isNoNumber(maxTokens)}
            value={maxTokens}
            onInput={(event) => change({ maxTokens: event.currentTarget.value })}
          />
        </label>
      </div>
      {(isNoNumber(temperature) || isNoNumber(maxTokens)) && (
        <p class="bad small">What is no number is left out.</p>
      )}
      <label class="check">
        <input
          type="checkbox"
          checked={isStreamed}
          onChange={(event) => change({ isStreamed: event.currentTarget.checked })}
        />
        Stream the answer
      </label>
      <ClientKeyField />
    </form>
  )
}

/** Recent models first: they are known to work here. A failure of either list only means fewer suggestions. */
function useModels(): readonly string[] {
  const recent = useQuery('recent', async (signal) => {
    if (!keepsRequests()) return undefined
    const body: AnalyticsQuery = {
      timeRange: { from: new Date(Date.now() - WEEK_MS).toISOString() },
      bucketCount: 1,
    }
    return post<Analytics>('/api/logs/analytics/summary', body, signal)
  })
  const priced = useQuery('priced', (signal) => get<CostsModels>('/api/costs/models', signal))
  const names = [
    ...(recent.data?.filterOptions.requestModel ?? []),
    ...(priced.data?.providers.flatMap(({ models }) => models.map((one) => one.model)) ?? []),
  ]
  return [...new Set(names)].slice(0, SUGGESTED_AT_MOST)
}

function ModelField({ model }: { readonly model: string }) {
  const models = useModels()
  return (
    <label class="label">
      Model
      <input
        class="input"
        list="models"
        required
        spellcheck={false}
        placeholder={models[0] ?? 'gpt-4o-mini'}
        value={model}
        onInput={(event) => setQuery({ model: event.currentTarget.value }, { replace: true })}
      />
      <datalist id="models">
        {models.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {model === '' && models.length > 0 && (
        <span class="row tight suggestions">
          {models.slice(0, 4).map((name) => (
            <button
              type="button"
              key={name}
              class="button quiet"
              onClick={() => setQuery({ model: name }, { replace: true })}
            >
              <span class="cut">{name}</span>
            </button>
          ))}
        </span>
      )}
    </label>
  )
}
