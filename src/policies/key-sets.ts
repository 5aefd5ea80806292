/** Keys of identity providers by their URL: every policy that names one, and every reload, shares what was fetched. */
import type { LocalJWKSet } from 'jose'
import { type FetchDependencies, fetchJson, TIMEOUT_MS } from '../core/fetch-json.ts'
import { type Kept, keepFresh } from '../core/keep-fresh.ts'
import { keySetOf } from '../core/key-set.ts'

export interface KeySets {
  readonly at: (url: string) => Kept<LocalJWKSet>
}

export function createKeySets(deps: FetchDependencies): KeySets {
  // Bounded: URLs come from configurations.
  const known = new Map<string, Kept<LocalJWKSet>>()
  return {
    at(url) {
      const kept =
        known.get(url) ??
        keepFresh(async () => keySetOf(await fetchJson(deps, url, deps.now() + TIMEOUT_MS)), deps.now)
      known.set(url, kept)
      return kept
    },
  }
}
