/**
 * A small MCP server whose every behaviour a test can ask for: what it offers comes in several pages, and its tools ask
 * the client, report progress, hang, fail, die and change what the server offers. Over stdio when this file is run with
 * a name: `node mcp-fixture.ts <name>`.
 */
import { appendFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  EmptyResultSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListRootsResultSchema,
  ListToolsRequestSchema,
  type LoggingLevel,
  McpError,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'

/** What a test that shares the process with the server can see and steer. */
export interface Hooks {
  /** A tool call that waits (`hold`, `steps`, `hang`) goes on when this resolves. */
  readonly held?: (tool: string) => Promise<void>
  /** One line per event: `called <tool>`, `cancelled <request id>`, `subscribed <uri>`, … */
  readonly event?: (line: string) => void
}

export interface FixtureOptions extends Hooks {
  readonly name: string
  readonly version?: string
  readonly instructions?: string
  /** Tools besides the built-in ones. */
  readonly tools?: readonly string[]
  /** How many entries of a list one page holds; without it there is one page. */
  readonly pageSize?: number
}

export const TOOLS: readonly string[] = [
  'whoami',
  'echo',
  'fail',
  'throw',
  'hang',
  'hold',
  'steps',
  'sample',
  'elicit',
  'roots',
  'ping_client',
  'log',
  'touch',
  'add_tool',
  'links',
  'die',
  'heard',
]

const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] })

export function fixtureServer(options: FixtureOptions): Server {
  const { name, version = '1.2.3', instructions, pageSize, event = () => {}, held } = options
  const tools = [...TOOLS, ...(options.tools ?? [])]
  // An SDK client loses progress that it reads together with the answer: that must wait until the client has heard.
  const hearing = new Map<string, PromiseWithResolvers<void>>()
  const heard = (label: string) => {
    const known = hearing.get(label) ?? Promise.withResolvers<void>()
    hearing.set(label, known)
    return known
  }
  const page = <T>(all: readonly T[], cursor: string | undefined) => {
    if (pageSize === undefined) return { items: [...all], more: {} }
    const from = cursor === undefined ? 0 : Number(cursor.replace(`${name}@`, ''))
    if (!Number.isInteger(from)) throw new McpError(ErrorCode.InvalidParams, `not my cursor: ${cursor}`)
    const next = from + pageSize
    return {
      items: all.slice(from, next),
      more: next < all.length ? { nextCursor: `${name}@${next}` } : {},
    }
  }
  const server = new Server(
    { name, version },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        completions: {},
        logging: {},
      },
      ...(instructions !== undefined && { instructions }),
    },
  )
  server.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
    event('list')
    const { items, more } = page(tools, params?.cursor)
    return { tools: items.map((one) => ({ name: one, inputSchema: { type: 'object' as const } })), ...more }
  })
  server.setRequestHandler(ListPromptsRequestSchema, ({ params }) => {
    const { items, more } = page(['greet', 'with_resource', 'third'], params?.cursor)
    return { prompts: items.map((one) => ({ name: one })), ...more }
  })
  server.setRequestHandler(ListResourcesRequestSchema, ({ params }) => {
    const { items, more } = page(['memo:status', 'memo:plan', 'https://example.com/a?b=c+d'], params?.cursor)
    return { resources: items.map((uri) => ({ uri, name: uri })), ...more }
  })
  server.setRequestHandler(ListResourceTemplatesRequestSchema, ({ params }) => {
    const { items, more } = page(['memo:item/{id}', 'memo:note/{id}', 'memo:page/{id}'], params?.cursor)
    return { resourceTemplates: items.map((uriTemplate) => ({ uriTemplate, name: uriTemplate })), ...more }
  })
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
    if (params.uri === 'memo:none') throw new McpError(-32002, 'no such memo')
    return { contents: [{ uri: params.uri, mimeType: 'text/plain', text: `${name} has ${params.uri}` }] }
  })
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    event(`subscribed ${params.uri}`)
    return {}
  })
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    event(`unsubscribed ${params.uri}`)
    return {}
  })
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => ({
    messages: [
      params.name === 'with_resource'
        ? {
            role: 'user' as const,
            content: { type: 'resource' as const, resource: { uri: 'memo:status', text: 'fine' } },
          }
        : {
            role: 'user' as const,
            content: {
              type: 'text' as const,
              text: `${name} ${params.name} ${JSON.stringify(params.arguments)}`,
            },
          },
    ],
  }))
  server.setRequestHandler(CompleteRequestSchema, ({ params }) => {
    const reference = params.ref.type === 'ref/prompt' ? params.ref.name : params.ref.uri
    return { completion: { values: [`${name}:${reference}:${params.argument.value}`] } }
  })

  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { name: tool, arguments: input = {} } = params
    event(`called ${tool}`)
    extra.signal.addEventListener('abort', () => event(`cancelled ${tool} ${extra.requestId}`))
    const progress = async (done: number) => {
      const progressToken = params._meta?.progressToken
      if (progressToken === undefined) return
      await extra.sendNotification({
        method: 'notifications/progress',
        params: { progressToken, progress: done, total: 2, message: `${name} ${input.label ?? ''}` },
      })
    }
    switch (tool) {
      case 'whoami':
        return text(`${name} ${process.pid}`)
      case 'echo':
        return text(`${name} says ${input.message}`)
      case 'fail':
        return { ...text('it went wrong'), isError: true }
      case 'throw':
        throw new McpError(-32050, 'thrown', { why: 'asked' })
      case 'hang':
        await new Promise<void>((resolve) => extra.signal.addEventListener('abort', () => resolve()))
        return text('never seen')
      case 'hold':
        await held?.(String(input.label ?? tool))
        return text(`${name} went on`)
      case 'steps':
        await progress(1)
        await held?.(String(input.label ?? tool))
        await progress(2)
        if (input.isHeard === true) await heard(String(input.label)).promise
        return text(`${name} did ${input.label ?? 'it'}`)
      case 'sample': {
        const answer = await extra.sendRequest(
          {
            method: 'sampling/createMessage',
            params: {
              messages: [{ role: 'user', content: { type: 'text', text: `${name} asks ${input.question}` } }],
              maxTokens: 10,
            },
          },
          CreateMessageResultSchema,
        )
        return text(JSON.stringify(answer.content))
      }
      case 'elicit': {
        const answer = await extra.sendRequest(
          {
            method: 'elicitation/create',
            params: {
              mode: 'form',
              message: `${name} wants a colour`,
              requestedSchema: { type: 'object', properties: { colour: { type: 'string' } } },
            },
          },
          ElicitResultSchema,
        )
        return text(JSON.stringify(answer))
      }
      case 'roots':
        return text(JSON.stringify(await extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema)))
      case 'ping_client':
        await extra.sendRequest({ method: 'ping' }, EmptyResultSchema)
        return text('the client is there')
      case 'log':
        await server.sendLoggingMessage(
          { level: (input.level ?? 'info') as LoggingLevel, logger: name, data: input.data },
          extra.sessionId,
        )
        return text('logged')
      case 'touch':
        await server.sendResourceUpdated({ uri: String(input.uri) })
        return text('touched')
      case 'add_tool':
        tools.push(String(input.tool))
        await server.sendToolListChanged()
        return text('added')
      case 'links':
        return {
          content: [
            { type: 'resource_link' as const, uri: 'memo:status', name: 'status' },
            { type: 'resource' as const, resource: { uri: 'memo:plan', text: 'a plan' } },
          ],
        }
      case 'heard':
        heard(String(input.label)).resolve()
        return text('good')
      case 'die':
        return process.exit(3)
      default:
        if (!tools.includes(tool)) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${tool}`)
        return text(`${name} ran ${tool}`)
    }
  })
  return server
}

/** `node mcp-fixture.ts <name> [file for events]` */
if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , name = 'fixture', file] = process.argv
  const event = (line: string) => {
    if (file !== undefined) appendFileSync(file, `${line}\n`)
  }
  event(`started ${process.pid}`)
  await fixtureServer({ name, event }).connect(new StdioServerTransport())
}
