/**
 * Moving through a list whose rows each have a link: j, k and the arrows, wherever the focus is.
 */
import { useRef, useState } from 'preact/hooks'
import { useKeys } from '../parts/keys.ts'

interface RowKeys {
  readonly frame: { current: HTMLDivElement | null }
  /** The one row that Tab stops at. */
  readonly reachable: string | undefined
  readonly onFocus: (id: string) => void
}

interface RowKeysOptions {
  readonly ids: readonly string[]
  readonly open: string | undefined
  readonly onMove: (id: string) => void
}

export function useRowKeys({ ids, open, onMove }: RowKeysOptions): RowKeys {
  const frame = useRef<HTMLDivElement>(null)
  const [focused, setFocused] = useState<string | undefined>(undefined)
  const current = [focused, open].find((id) => id !== undefined && ids.includes(id))

  function move(by: number, event: KeyboardEvent) {
    // Arrows belong to whatever has the focus, unless that is the list or nothing.
    const isElsewhere =
      document.activeElement !== document.body && !frame.current?.contains(document.activeElement)
    if (event.key.startsWith('Arrow') && isElsewhere) return
    const at = current === undefined ? -1 : ids.indexOf(current)
    const id = ids[Math.max(0, Math.min(ids.length - 1, at + by))]
    if (id === undefined) return
    event.preventDefault()
    setFocused(id)
    const link = frame.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`)
    link?.focus({ preventScroll: true })
    link?.closest('tr')?.scrollIntoView({ block: 'nearest' })
    onMove(id)
  }

  useKeys({
    j: (event) => move(1, event),
    k: (event) => move(-1, event),
    ArrowDown: (event) => move(1, event),
    ArrowUp: (event) => move(-1, event),
  })

  return { frame, reachable: current ?? ids[0], onFocus: setFocused }
}
