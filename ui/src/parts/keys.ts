/**
 * Keys that work wherever the focus is, except while somebody types.
 */
import { useEffect, useRef } from 'preact/hooks'

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

/** Gives the focus to what is told apart by `data-row` or `data-span`. */
export function focusOn(kind: 'row' | 'span', id: string): void {
  document.querySelector<HTMLElement>(`[data-${kind}="${CSS.escape(id)}"]`)?.focus({ preventScroll: true })
}

type KeyActions = Readonly<Record<string, (event: KeyboardEvent) => void>>

export function useKeys(actions: KeyActions): void {
  const latest = useRef(actions)
  latest.current = actions

  useEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
      if (isTyping(event.target)) return
      latest.current[event.key]?.(event)
    }
    document.addEventListener('keydown', onKeyDown)
    return () => document.removeEventListener('keydown', onKeyDown)
  }, [])
}
