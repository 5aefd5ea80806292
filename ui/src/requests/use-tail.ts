/**
 * The live tail of a component: the newest first, drawn a few times a second however fast they come.
 */
import { useEffect, useState } from 'preact/hooks'
import type { LogEntry, LogsSearch } from '../../../src/admin/api-types.ts'
import { followLogs, type TailState } from './tail.ts'

export const KEPT_LIVE = 200
const DRAW_EVERY_MS = 250

interface Tail {
  readonly entries: readonly LogEntry[]
  readonly state: TailState | undefined
}

const NOTHING: Tail = { entries: [], state: undefined }

export function useTail(isOn: boolean, key: string, search: () => LogsSearch): Tail {
  const [tail, setTail] = useState<Tail>(NOTHING)
  const isSeen = useIsSeen()

  // The key stands for the search
  useEffect(() => setTail(NOTHING), [key])

  // The key stands for the search
  useEffect(() => {
    if (!isOn) setTail(({ entries }) => ({ entries, state: undefined }))
    if (!isOn || !isSeen) return
    const controller = new AbortController()
    let arrived: LogEntry[] = []
    let timer: ReturnType<typeof setTimeout> | undefined

    function draw() {
      timer = undefined
      const fresh = arrived
      arrived = []
      const ids = new Set(fresh.map(({ id }) => id))
      setTail(({ entries, state }) => {
        // A connection that is opened anew tells the last ones again.
        const before = entries.filter(({ id }) => !ids.has(id))
        return { entries: [...fresh, ...before].slice(0, KEPT_LIVE), state }
      })
    }

    void followLogs({
      search: search(),
      signal: controller.signal,
      onEntry: (entry) => {
        arrived.unshift(entry)
        timer ??= setTimeout(draw, DRAW_EVERY_MS)
      },
      onState: (state) => setTail((before) => ({ ...before, state })),
    })
    return () => {
      controller.abort()
      clearTimeout(timer)
    }
  }, [isOn, key, isSeen])

  return tail
}

/** False while the tab is hidden: nobody looks, so nothing is asked. */
function useIsSeen(): boolean {
  const [isSeen, setSeen] = useState(!document.hidden)
  useEffect(() => {
    const look = () => setSeen(!document.hidden)
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [])
  return isSeen
}
