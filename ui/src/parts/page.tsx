/**
 * The frame of a page: its title, its controls, its content.
 */
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { runtime, unreachable } from '../session/session.ts'

interface PageProps {
  readonly title: string
  readonly controls?: ComponentChildren
  /** The content has its own paddings and scrolls inside itself. */
  readonly isFull?: boolean
  readonly children: ComponentChildren
}

export function Page({ title, controls, isFull = false, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · AgentGateway`
  }, [title])

  const problem = runtime.value?.store?.problem
  return (
    <>
      <header class="page-head">
        <h1>{title}</h1>
        {controls}
      </header>
      {unreachable.value !== undefined && (
        <p class="banner" role="alert">
          {unreachable.value} What you see is what it said last.
        </p>
      )}
      {problem !== undefined && (
        <p class="banner warn" role="status">
          The store of requests has a problem: {problem}
        </p>
      )}
      <div class={`page-body${isFull ? ' full' : ''}`}>{children}</div>
    </>
  )
}
