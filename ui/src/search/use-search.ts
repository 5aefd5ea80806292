/**
 * A list that is found page by page. The API answers after a bounded time, perhaps with few rows or none and a
 * cursor: then the search goes on by itself until a page is full, everything was looked at, or the reader stops it.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { isAbort } from '../api/client.ts'

const PAGE_SIZE = 100

interface Found<T> {
  readonly rows: readonly T[]
  readonly nextCursor: string | null
}

export interface Ask {
  readonly cursor: string | undefined
  readonly limit: number
  readonly signal: AbortSignal
  /** When the search began: a moving span of time stands still for its pages. */
  readonly now: number
}

export interface Search<T> {
  readonly rows: readonly T[]
  readonly state: 'searching' | 'more' | 'end' | 'failed'
  /** RFC 3339. */
  readonly searchedBackTo: string | undefined
  readonly error: Error | undefined
  /** The rows are those of the search before. */
  readonly isStale: boolean
  readonly more: () => void
  readonly stop: () => void
  readonly refresh: () => void
}

interface State<T> {
  readonly key: string | undefined
  readonly rows: readonly T[]
  readonly cursor: string | null | undefined
  readonly state: Search<T>['state']
  readonly error: Error | undefined
}

/** `<rfc3339>|<id>` */
function cursorTime(cursor: string | null | undefined): string | undefined {
  const time = cursor?.split('|')[0]
  return time === undefined || Number.isNaN(Date.parse(time)) ? undefined : time
}

/** A trace comes again with each page that has a request of it. */
function withNew<T>(before: readonly T[], found: readonly T[], idOf: (row: T) => string): readonly T[] {
  const known = new Set(before.map(idOf))
  return [...before, ...found.filter((row) => !known.has(idOf(row)))]
}

interface SearchOptions<T> {
  /** Tells one search from another. */
  readonly key: string
  readonly idOf: (row: T) => string
  readonly load: (ask: Ask) => Promise<Found<T>>
}

export function useSearch<T>({ key, idOf, load }: SearchOptions<T>): Search<T> {
  const [state, setState] = useState<State<T>>({
    key: undefined,
    rows: [],
    cursor: undefined,
    state: 'searching',
    error: undefined,
  })
  const running = useRef<AbortController | undefined>(undefined)
  const begun = useRef(Date.now())
  const latest = useRef({ load, idOf, key, state })
  latest.current = { load, idOf, key, state }

  const run = useCallback(async (isNew: boolean) => {
    running.current?.abort()
    const controller = new AbortController()
    running.current = controller
    if (isNew) begun.current = Date.now()

    const { load: ask, idOf, key: askedKey, state: before } = latest.current
    let rows: readonly T[] = isNew ? [] : before.rows
    let cursor = isNew ? undefined : (before.cursor ?? undefined)
    const wanted = rows.length + PAGE_SIZE
    setState((current) => ({ ...current, state: 'searching', error: undefined }))
    try {
      for (;;) {
        const limit = wanted - rows.length
        const found = await ask({ cursor, limit, signal: controller.signal, now: begun.current })
        if (controller.signal.aborted) return
        rows = withNew(rows, found.rows, idOf)
        const isDone = found.nextCursor === null || rows.length >= wanted
        const next = found.nextCursor === null ? 'end' : isDone ? 'more' : 'searching'
        setState({ key: askedKey, rows, cursor: found.nextCursor, state: next, error: undefined })
        if (isDone || found.nextCursor === null) return
        cursor = found.nextCursor
      }
    } catch (reason) {
      if (isAbort(reason) || controller.signal.aborted) return
      const error = reason instanceof Error ? reason : new Error(String(reason))
      setState((current) => ({ ...current, state: 'failed', error }))
    }
  }, [])

  // A new key is a new search
  useEffect(() => {
    void run(true)
    return () => running.current?.abort()
  }, [key, run])

  const stop = useCallback(() => {
    running.current?.abort()
    setState((current) => ({ ...current, state: 'more' }))
  }, [])
  const more = useCallback(() => void run(false), [run])
  const refresh = useCallback(() => void run(true), [run])

  return {
    rows: state.rows,
    state: state.state,
    searchedBackTo: cursorTime(state.cursor),
    error: state.error,
    isStale: state.key !== key,
    more,
    stop,
    refresh,
  }
}
