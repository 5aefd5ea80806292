/** What expressions of routes may read: `requestVariables` of `policies/` makes it. */
import type { Names } from './cel.ts'

export const REQUEST_NAMES = {
  request: { method: true, host: true, path: true, headers: true },
  source: { address: true },
  apiKey: true,
  basicAuth: true,
  jwt: true,
} as const satisfies Names

/** With the body, as text. */
export const BODY_NAMES = {
  ...REQUEST_NAMES,
  request: { ...REQUEST_NAMES.request, body: true },
} as const satisfies Names

/** Behind `transformations`, and what they have noted. */
export const NOTED_NAMES = { ...REQUEST_NAMES, metadata: true } as const satisfies Names

export const ANSWER_NAMES = {
  ...NOTED_NAMES,
  response: { code: true, headers: true },
} as const satisfies Names
