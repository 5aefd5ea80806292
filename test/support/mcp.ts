/** MCP servers that others wrote, as real processes, and the official clients to talk to them through the gateway. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import {
  Client as ClientV2,
  type ClientOptions as ClientV2Options,
  SSEClientTransport as SSEClientTransportV2,
  StreamableHTTPClientTransport as StreamableHTTPClientTransportV2,
} from '@modelcontextprotocol/client'
import { Client, type ClientOptions } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { freePort } from './free-port.ts'

const require = createRequire(import.meta.url)

/** The file that starts a published server. */
const serverFile = (manifest: string) => manifest.replace(/package\.json$/, 'dist/index.js')

export const EVERYTHING = serverFile(require.resolve('@modelcontextprotocol/server-everything/package.json'))
export const FILESYSTEM = serverFile(require.resolve('@modelcontextprotocol/server-filesystem/package.json'))
export const MEMORY = serverFile(require.resolve('@modelcontextprotocol/server-memory/package.json'))

/** `stdio:` of a configuration, in YAML's flow style. */
export const stdioTarget = (file: string, ...args: readonly string[]) =>
  `stdio: {cmd: ${JSON.stringify(process.execPath)}, args: ${JSON.stringify([file, ...args])}}`

export interface McpServer {
  readonly port: number
  readonly url: string
  readonly process: ChildProcess
  readonly stop: () => Promise<void>
}

/** server-everything over HTTP: resolves when it listens. */
export async function everythingOverHttp(
  transport: 'streamableHttp' | 'sse',
  port?: number,
): Promise<McpServer> {
  const chosen = port ?? (await freePort())
  const child = spawn(process.execPath, [EVERYTHING, transport], {
    env: { ...process.env, PORT: String(chosen) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.resume()
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (/listening on port|running on port/i.test(said)) resolve()
    })
    child.on('exit', () => reject(new Error(`server-everything ended: ${said}`)))
  })
  return {
    port: chosen,
    url: `http://127.0.0.1:${chosen}/${transport === 'sse' ? 'sse' : 'mcp'}`,
    process: child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

export type ClientTransport = 'streamable' | 'sse'

/** The official client, connected. `url` is the gateway's, without a path. */
export async function connectClient(
  url: string,
  transport: ClientTransport = 'streamable',
  options: ClientOptions = {},
  headers: Record<string, string> = {},
): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' }, options)
  const requestInit = { headers }
  if (transport === 'sse')
    await client.connect(new SSEClientTransport(new URL(`${url}/sse`), { requestInit }))
  else await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }))
  return client
}

/** The same with the second generation of the official client. */
export async function connectClientV2(
  url: string,
  transport: ClientTransport = 'streamable',
  options: ClientV2Options = {},
): Promise<ClientV2> {
  const client = new ClientV2({ name: 'test', version: '2.0.0' }, options)
  await client.connect(
    transport === 'sse'
      ? new SSEClientTransportV2(new URL(`${url}/sse`))
      : new StreamableHTTPClientTransportV2(new URL(`${url}/mcp`)),
  )
  return client
}

/**
 * The JSON-RPC code of what the official clients reject with. Where it came with an HTTP status of its own, they say the
 * status instead, and show the body in the message.
 */
export function rpcCodeOf(error: unknown): number {
  if (!(error instanceof Error)) throw new Error(`not refused, but ${JSON.stringify(error)}`)
  const inBody = /"code":(-\d+)/.exec(error.message + ('text' in error ? String(error.text) : ''))?.[1]
  if (inBody !== undefined) return Number(inBody)
  if ('code' in error && typeof error.code === 'number') return error.code
  throw error
}
