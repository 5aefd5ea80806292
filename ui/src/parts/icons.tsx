/**
 * The console's pictures, drawn in 16 × 16. They decorate: what they mean is always said in words, too.
 */
const PATHS = {
  overview: 'M2.5 9.5h3v4h-3zM6.5 5.5h3v8h-3zM10.5 2.5h3v11h-3z',
  requests: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  traces: 'M2.5 3.5h7M5 8h6M8 12.5h5.5',
  costs:
    'M8 2v12M11 4.8C10.5 3.8 9.4 3.4 8 3.4c-1.7 0-3 .8-3 2.2 0 3.2 6.2 1.5 6.2 4.7 0 1.5-1.4 2.3-3.2 2.3-1.6 0-2.8-.6-3.3-1.7',
  mcp: 'M5.5 2.5v3M10.5 2.5v3M3.5 5.5h9v2.5a4.5 4.5 0 0 1-9 0zM8 12.5v2',
  playground: 'M2.5 3.5h11v7.5h-6l-3 2.5v-2.5h-2z',
  config: 'M2.5 4.5h5M11.5 4.5h2M2.5 11.5h2M8.5 11.5h5M9.5 2.7v3.6M6.5 9.7v3.6',
  clients: 'M5.5 4.5l-3.5 3.5 3.5 3.5M10.5 4.5l3.5 3.5-3.5 3.5',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3l3.2 3.2',
  copy: 'M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1',
  check: 'M3 8.5l3.3 3.5 6.7-7.5',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  info: 'M8 1.8a6.2 6.2 0 1 1 0 12.4 6.2 6.2 0 0 1 0-12.4M8 7.2v4M8 4.6v.4',
  down: 'M4 6l4 4 4-4',
  up: 'M4 10l4-4 4 4',
  right: 'M6 4l4 4-4 4',
  sun: 'M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9',
  moon: 'M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7z',
  system: 'M2.5 3h11v7.5h-11zM6 13.5h4',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.6M13 2.5v2.8h-2.8',
  stop: 'M4 4h8v8h-8z',
  play: 'M5 3.5l7.5 4.5L5 12.5z',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.5M8 11.8v.2',
  download: 'M8 2.5v7.5M5 7.5l3 3 3-3M2.5 13.5h11',
  send: 'M2.5 8l11-5-4 11-2.5-4.5z',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}
