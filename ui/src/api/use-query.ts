/**
 * One question to the API for as long as a component is there: asked again when its key changes, and every
 * `pollMs` while somebody looks at the page.
 *
 * The old answer stays until the new one is there, so that nothing jumps; `isStale` says that it is one.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { isAbort } from './client.ts'

/** After a failure; what came back should not be missed for long. */
const RETRY_MS = 3000

export interface Query<T> {
  readonly data: T | undefined
  readonly error: Error | undefined
  /** The answer belongs to an earlier key. */
  readonly isStale: boolean
  readonly isLoading: boolean
  readonly refresh: () => void
}

interface State<T> {
  readonly key: string | undefined
  readonly data: T | undefined
  readonly error: Error | undefined
  readonly isLoading: boolean
}

interface QueryOptions {
  readonly pollMs?: number
}

export function useQuery<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  options: QueryOptions = {},
): Query<T> {
  const { pollMs } = options
  const [state, setState] = useState<State<T>>({
    key: undefined,
    data: undefined,
    error: undefined,
    isLoading: true,
  })
  const [asked, setAsked] = useState(0)
  const latest = useRef(load)
  latest.current = load

  // `asked` is there to ask again
  useEffect(() => {
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined

    async function ask() {
      let waitMs = pollMs ?? 0
      setState((before) => ({ ...before, isLoading: true }))
      try {
        const data = await latest.current(controller.signal)
        if (controller.signal.aborted) return
        setState({ key, data, error: undefined, isLoading: false })
      } catch (reason) {
        if (isAbort(reason) || controller.signal.aborted) return
        const error = reason instanceof Error ? reason : new Error(String(reason))
        setState((before) => ({ ...before, error, isLoading: false }))
        waitMs = Math.min(waitMs, RETRY_MS)
      }
      if (pollMs !== undefined) timer = setTimeout(askWhenSeen, waitMs)
    }

    function askWhenSeen() {
      if (document.hidden) document.addEventListener('visibilitychange', onSeen)
      else void ask()
    }

    function onSeen() {
      if (document.hidden) return
      document.removeEventListener('visibilitychange', onSeen)
      void ask()
    }

    void ask()
    return () => {
      controller.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onSeen)
    }
  }, [key, pollMs, asked])

  const refresh = useCallback(() => setAsked((count) => count + 1), [])
  const { data, error, isLoading } = state
  return { data, error, isLoading, isStale: data !== undefined && state.key !== key, refresh }
}
