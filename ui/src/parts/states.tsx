/**
 * What a page shows instead of its content: that it is coming, that there is none, that it failed.
 */
import type { ComponentChildren } from 'preact'
import { ApiError, messageOf } from '../api/client.ts'
import type { Query } from '../api/use-query.ts'
import { Icon } from './icons.tsx'

interface FailureProps {
  /** `The requests cannot be shown` */
  readonly what: string
  readonly error: unknown
  readonly onRetry?: () => void
}

export function Failure({ what, error, onRetry }: FailureProps) {
  const status = error instanceof ApiError && error.status > 0 ? ` (${error.status})` : ''
  return (
    <div class="notice bad" role="alert">
      <h2>{what}</h2>
      <p>
        {messageOf(error)}
        {status}
      </p>
      {onRetry !== undefined && (
        <button type="button" class="button" onClick={onRetry}>
          <Icon name="refresh" /> Try again
        </button>
      )}
    </div>
  )
}

interface EmptyProps {
  readonly title: string
  readonly children?: ComponentChildren
}

export function Empty({ title, children }: EmptyProps) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** Keeps the place of what is coming. */
export function Skeleton({ height, count = 1 }: { readonly height: number; readonly count?: number }) {
  return (
    <div class="stack" role="status" aria-label="Loading">
      {Array.from({ length: count }, (_, index) => (
        <div key={index} class="skeleton" style={{ height: `${height}px` }} />
      ))}
    </div>
  )
}

interface LoadedProps<T> {
  readonly query: Query<T>
  /** `The overview cannot be shown` */
  readonly what: string
  readonly skeleton: ComponentChildren
  readonly children: (data: T) => ComponentChildren
}

/** The answer; an old one stays below the message when a later question fails. */
export function Loaded<T>({ query, what, skeleton, children }: LoadedProps<T>) {
  const { data, error, isStale, refresh } = query
  if (data === undefined) {
    return error === undefined ? skeleton : <Failure what={what} error={error} onRetry={refresh} />
  }
  return (
    <div class="stack">
      {error !== undefined && (
        <Failure what={`${what}: this is the last answer`} error={error} onRetry={refresh} />
      )}
      <div class={isStale ? 'is-stale' : ''} aria-busy={isStale}>
        {children(data)}
      </div>
    </div>
  )
}
