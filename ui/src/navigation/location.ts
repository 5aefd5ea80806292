/**
 * Where the reader is. The address is the console's only memory of what is shown, so that every view can be
 * shared and the back button works.
 */
import { signal } from '@preact/signals'

export interface Place {
  /** Below `/ui`, without the slash at the end: `/`, `/requests`, `/traces/4bf9…` */
  readonly path: string
  readonly query: URLSearchParams
}

type QueryChanges = Readonly<Record<string, string | readonly string[] | undefined>>

const BASE = '/ui'

export function toPlace(url: URL): Place {
  const below = url.pathname.startsWith(BASE) ? url.pathname.slice(BASE.length) : url.pathname
  return { path: below.replace(/\/+$/, '') || '/', query: url.searchParams }
}

export const place = signal<Place>({ path: '/', query: new URLSearchParams() })

/** `href('/requests', {model: ['a', 'b']})` is `/ui/requests?model=a&model=b`. */
export function href(path: string, query: QueryChanges | URLSearchParams = {}): string {
  const search = query instanceof URLSearchParams ? query : changed(new URLSearchParams(), query)
  const text = search.toString()
  return `${BASE}${path}${text === '' ? '' : `?${text}`}`
}

export function changed(query: URLSearchParams, changes: QueryChanges): URLSearchParams {
  const next = new URLSearchParams(query)
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name)
    for (const one of value === undefined ? [] : [value].flat()) if (one !== '') next.append(name, one)
  }
  return next
}

export function navigate(to: string, options: { readonly replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, '', to)
  else history.pushState(null, '', to)
  place.value = toPlace(new URL(location.href))
}

export function setQuery(changes: QueryChanges, options: { readonly replace?: boolean } = {}): void {
  const { path, query } = place.value
  navigate(href(path, changed(query, changes)), options)
}

/** Follows the history, and makes plain links of the console navigate without loading the page anew. */
export function startNavigation(): void {
  place.value = toPlace(new URL(location.href))
  addEventListener('popstate', () => {
    place.value = toPlace(new URL(location.href))
  })
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = event.target instanceof Element ? event.target.closest('a') : null
    if (link === null || link.target !== '' || link.hasAttribute('download')) return
    const to = new URL(link.href, location.href)
    if (to.origin !== location.origin || !`${to.pathname}/`.startsWith(`${BASE}/`)) return
    // A row's anchor is the browser's own business.
    if (to.hash !== '' && to.pathname === location.pathname && to.search === location.search) return
    event.preventDefault()
    const isNewPage = toPlace(to).path !== place.value.path
    navigate(to.pathname + to.search + to.hash)
    if (isNewPage) scrollTo(0, 0)
  })
}
