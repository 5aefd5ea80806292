/** The configuration of MCP backends; policies of targets are added where the schema is put together. */
import { z } from 'zod'
import { durationMs } from '../core/schema.ts'

/** Without the delimiters of prefixed names. https://gateway-api.sigs.k8s.io/reference/spec/#sectionname */
const targetName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, {
    error: 'expected lower-case letters, digits, `-` and `.`: `_` and `+` divide the name from the tool',
  })

const httpUrl = z.url({
  protocol: /^https?$/,
  error: 'expected http(s)://host[:port]/path, or a host with `port` beside it',
})
const hostname = z.string().regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:/\s]+)$/, {
  error: 'expected http(s)://host[:port]/path, or a host with `port` beside it',
})

/** A URL alone, host and port apart, or a top-level backend. */
const placeShape = {
  host: z.union([httpUrl, hostname]).optional(),
  port: z.int().min(1).max(65_535).optional(),
  path: z.string().startsWith('/').optional(),
  backend: z.string().min(1).optional(),
}

interface Place {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
  readonly backend?: string | undefined
}

const isUrl = (host: string | undefined) => host !== undefined && /^https?:\/\//.test(host)

/** What is wrong with the place of a server, or undefined. */
function placeFault({ host, port, path, backend }: Place): string | undefined {
  if ((host === undefined) === (backend === undefined)) return 'expected exactly one of host, backend'
  if (isUrl(host) && (port !== undefined || path !== undefined))
    return 'a URL in `host` holds port and path already: leave out `port` and `path`'
  if (host !== undefined && !isUrl(host) && port === undefined)
    return '`host` without a scheme needs `port` beside it'
  if (backend !== undefined && port !== undefined) return '`backend` has its port already'
  return undefined
}

function placed<T extends z.ZodType<Place>>(schema: T) {
  return schema.superRefine((value, context) => {
    const fault = placeFault(value)
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
  })
}

const httpServer = placed(z.strictObject(placeShape))
export type HttpServerConfig = z.output<typeof httpServer>

const openApiDocument = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ url: httpUrl }),
  z.strictObject({ inline: z.union([z.string().min(1), z.record(z.string(), z.json())]) }),
  z.string().min(1),
])

const openApiServer = placed(z.strictObject({ schema: openApiDocument, ...placeShape }))
export type OpenApiServerConfig = z.output<typeof openApiServer>

const stdioServer = z.strictObject({
  cmd: z.string().min(1),
  args: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
  /** Only `env`, and nothing of the gateway's own environment. */
  clearEnv: z.boolean().optional(),
})
export type StdioServerConfig = z.output<typeof stdioServer>

export const mcpTargetShape = {
  name: targetName,
  stdio: stdioServer.optional(),
  mcp: httpServer.optional(),
  sse: httpServer.optional(),
  openapi: openApiServer.optional(),
  /** To the end of `initialize`. */
  connectTimeout: durationMs.optional(),
  /** From a request to its answer; progress starts it anew. */
  requestTimeout: durationMs.optional(),
}

export const mcpBackendShape = {
  statefulMode: z.enum(['stateful', 'stateless']).optional(),
  prefixMode: z.enum(['conditional', 'always', 'never']).optional(),
  failureMode: z.enum(['failOpen', 'failClosed']).optional(),
  dnsRebindingProtection: z.boolean().optional(),
}

/** `config.mcp`. */
export const mcpSettingsSchema = z.strictObject({
  /** Sessions that nobody used for so long are forgotten. */
  sessionTtl: durationMs.optional(),
  maxSessions: z.int().positive().optional(),
})
