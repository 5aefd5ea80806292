/**
 * A button that opens something below itself. It closes on Escape, and on a click or focus elsewhere.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { Icon } from './icons.tsx'

interface PopoverProps {
  readonly label: ComponentChildren
  readonly isOn?: boolean
  readonly isRight?: boolean
  readonly children: (close: () => void) => ComponentChildren
}

export function Popover({ label, isOn = false, isRight = false, children }: PopoverProps) {
  const [isOpen, setOpen] = useState(false)
  const frame = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const id = useId()

  useEffect(() => {
    if (!isOpen) return
    frame.current?.querySelector<HTMLElement>('input, select')?.focus()
    const onElsewhere = (event: Event) => {
      if (event.target instanceof Node && !frame.current?.contains(event.target)) setOpen(false)
    }
    document.addEventListener('pointerdown', onElsewhere)
    document.addEventListener('focusin', onElsewhere)
    return () => {
      document.removeEventListener('pointerdown', onElsewhere)
      document.removeEventListener('focusin', onElsewhere)
    }
  }, [isOpen])

  function close() {
    setOpen(false)
    button.current?.focus()
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key !== 'Escape' || !isOpen) return
    event.stopPropagation()
    close()
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape works wherever in it the focus is
    <div class="pick" ref={frame} onKeyDown={onKeyDown}>
      <button
        type="button"
        ref={button}
        class={`button${isOn ? ' on' : ''}`}
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => setOpen(!isOpen)}
      >
        {label} <Icon name="down" />
      </button>
      <div id={id} class={`pick-list${isRight ? ' right' : ''}`} hidden={!isOpen}>
        {isOpen && children(close)}
      </div>
    </div>
  )
}
