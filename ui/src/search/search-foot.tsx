/**
 * The end of a list: how far it goes, and how to go on.
 */
import { plural } from '../format/numbers.ts'
import { Time } from '../parts/time.tsx'
import type { Search } from './use-search.ts'

interface SearchFootProps {
  readonly search: Search<unknown>
  /** `request` */
  readonly what: string
  /** Where more is shown than the search has found. */
  readonly count?: number
}

export function SearchFoot({ search, what, count = search.rows.length }: SearchFootProps) {
  const { state, searchedBackTo, more, stop } = search
  return (
    <div class="search-foot" aria-live="polite">
      <span class="soft">{plural(count, what)}</span>
      {state === 'searching' && (
        <>
          <span class="soft">
            {searchedBackTo === undefined ? (
              'Searching…'
            ) : (
              <>
                Searched back to <Time at={searchedBackTo} as="full" />…
              </>
            )}
          </span>
          {searchedBackTo !== undefined && (
            <button type="button" class="button" onClick={stop}>
              Stop
            </button>
          )}
        </>
      )}
      {state === 'more' && (
        <>
          {searchedBackTo !== undefined && (
            <span class="soft">
              back to <Time at={searchedBackTo} as="full" />
            </span>
          )}
          <button type="button" class="button" onClick={more}>
            Load more
          </button>
        </>
      )}
      {state === 'failed' && (
        <button type="button" class="button" onClick={more}>
          Try again
        </button>
      )}
      {state === 'end' && count > 0 && <span class="faint">That is all of this time.</span>}
      <span class="faint small push key-help">j k or ↑ ↓ move, Enter opens, Esc closes, / searches</span>
    </div>
  )
}
