/** What the gateway hands to authentication: its way out, its files, its clock. */
export interface McpAuthenticationDependencies {
  /** Rejects when nothing came within `timeoutMs` or more than `maxBytes` did; follows no redirects. */
  readonly fetch: (
    url: string,
    init: {
      method?: string
      headers?: Record<string, string>
      body?: string | Buffer
      timeoutMs: number
      maxBytes: number
    },
  ) => Promise<{ status: number; headers: Record<string, string>; body: Buffer }>
  readonly readText: (path: string) => string
  /** Milliseconds since the epoch: tokens are dated by the calendar. */
  readonly now: () => number
}
