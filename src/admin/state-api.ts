/** What runs: the process, its configuration, its MCP servers, its prices; and who is signed in. */
import { z } from 'zod'
import type { Access } from './access.ts'
import type { ConfigState, CostsModels, McpState, Runtime, SessionState } from './api-types.ts'
import { json, readJson } from './http.ts'
import type { Route } from './routes.ts'

export interface StateSources {
  readonly runtime: () => Promise<Runtime>
  readonly configState: () => ConfigState
  readonly mcpState: () => McpState
  readonly costsModels: () => CostsModels
}

const signInSchema = z.strictObject({ token: z.string() })

export function stateRoutes(sources: StateSources): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/runtime',
      handler: async (_request, response) => json(response, 200, await sources.runtime()),
    },
    {
      method: 'GET',
      path: '/api/config',
      handler: (_request, response) => json(response, 200, sources.configState()),
    },
    {
      method: 'GET',
      path: '/api/config/effective',
      handler: (_request, response) => json(response, 200, sources.configState().effective),
    },
    {
      method: 'GET',
      path: '/api/mcp',
      handler: (_request, response) => json(response, 200, sources.mcpState()),
    },
    {
      method: 'GET',
      path: '/api/costs/models',
      handler: (_request, response) => json(response, 200, sources.costsModels()),
    },
  ]
}

/** For everybody: to see whether to sign in, and to do so. */
export function sessionRoutes(access: Access): Route[] {
  const state = (signedIn: boolean): SessionState => ({ signedIn, tokenRequired: access.isTokenRequired })
  return [
    {
      method: 'GET',
      path: '/api/session',
      isOpen: true,
      handler: (request, response) => json(response, 200, state(access.isSignedIn(request))),
    },
    {
      method: 'POST',
      path: '/api/session',
      isOpen: true,
      async handler(request, response) {
        const { token } = await readJson(request, signInSchema)
        await access.signIn(response, token)
        json(response, 200, state(true))
      },
    },
    {
      method: 'DELETE',
      path: '/api/session',
      isOpen: true,
      handler(request, response) {
        access.signOut(request, response)
        json(response, 200, state(!access.isTokenRequired))
      },
    },
  ]
}
