/** Documents of an identity provider, within bounds. */

/** Rejects when nothing came within `timeoutMs` or more than `maxBytes` did; follows no redirects. */
export type Fetch = (
  url: string,
  init: {
    method?: string
    headers?: Record<string, string>
    body?: string | Buffer
    timeoutMs: number
    maxBytes: number
  },
) => Promise<{ status: number; headers: Record<string, string>; body: Buffer }>

export interface FetchDependencies {
  readonly fetch: Fetch
  /** Milliseconds since the epoch: tokens are dated by the calendar. */
  readonly now: () => number
}

export const TIMEOUT_MS = 5_000
export const MAX_BYTES = 1024 * 1024

/** `deadline` is a time of `deps.now`: several documents in a row share one patience. */
export async function fetchJson(deps: FetchDependencies, url: string, deadline: number): Promise<unknown> {
  const timeoutMs = deadline - deps.now()
  if (timeoutMs <= 0) throw new Error(`no time was left to fetch ${url}`)
  const reply = await deps.fetch(url, {
    headers: { accept: 'application/json' },
    timeoutMs,
    maxBytes: MAX_BYTES,
  })
  if (reply.status !== 200) throw new Error(`${url} answered ${reply.status}`)
  return JSON.parse(reply.body.toString('utf8'))
}
