/** What the gateway hands to authentication: its way out, its files, its clock. */
import type { FetchDependencies } from '../../core/fetch-json.ts'

export interface McpAuthenticationDependencies extends FetchDependencies {
  readonly readText: (path: string) => string
}
