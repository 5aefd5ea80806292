/** The console's pages, for tests that are about each of them. */
export interface ConsolePage {
  /** Below `/ui`. */
  readonly path: string
  readonly title: string
  /** Something that is there once the page has loaded what it shows, when the gateway has had requests. */
  readonly content: string
}

export const PAGES: readonly ConsolePage[] = [
  { path: '/', title: 'Overview', content: '.panel' },
  { path: '/requests', title: 'Requests', content: 'tr .row-link' },
  { path: '/traces', title: 'Traces', content: 'tr .row-link' },
  { path: '/costs', title: 'Costs', content: '.group-name' },
  { path: '/mcp', title: 'MCP', content: '.targets' },
  { path: '/playground', title: 'Playground', content: '.composer' },
  { path: '/config', title: 'Configuration', content: '.tree' },
  { path: '/clients', title: 'Client set-up', content: '.snippets' },
]
