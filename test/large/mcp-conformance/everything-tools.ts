/**
 * What the scenarios of the conformance suite ask of a server: its tools, resources and prompts.
 *
 * The suite has no list of these for machines: they stand in the descriptions of its scenarios.
 * https://github.com/modelcontextprotocol/conformance
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import {
  type CallToolResult,
  CreateMessageResultSchema,
  ElicitResultSchema,
  type GetPromptResult,
  type ReadResourceResult,
  type ServerNotification,
  type ServerRequest,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js'

export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>
type Arguments = Readonly<Record<string, unknown>>

interface OfferedTool extends Omit<Tool, 'name' | 'inputSchema'> {
  readonly description: string
  readonly inputSchema?: Tool['inputSchema']
  readonly call: (given: Arguments, extra: Extra) => Promise<CallToolResult> | CallToolResult
}

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
/** A head, and no samples. */
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA='

const image = { type: 'image', data: PNG, mimeType: 'image/png' } as const
const text = (said: string) => ({ type: 'text', text: said }) as const
const said = (...content: CallToolResult['content']): CallToolResult => ({ content })

const STEP_MS = 50
/** The gateway answers a call that takes this long with events, and a short one in JSON. */
const RECONNECTION_MS = 500

async function log(extra: Extra, data: string): Promise<void> {
  await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } })
}

async function withLogging(extra: Extra): Promise<CallToolResult> {
  await log(extra, 'Tool execution started')
  await sleep(STEP_MS)
  await log(extra, 'Tool processing data')
  await sleep(STEP_MS)
  await log(extra, 'Tool execution completed')
  return said(text('Tool with logging executed successfully'))
}

async function withProgress(extra: Extra): Promise<CallToolResult> {
  const progressToken = extra._meta?.progressToken
  for (const progress of [0, 50, 100]) {
    if (progress > 0) await sleep(STEP_MS)
    if (progressToken === undefined) continue
    const params = { progressToken, progress, total: 100 }
    await extra.sendNotification({ method: 'notifications/progress', params })
  }
  return said(text('Tool with progress executed successfully'))
}

async function sample(prompt: string, extra: Extra): Promise<CallToolResult> {
  const messages = [{ role: 'user' as const, content: text(prompt) }]
  const params = { messages, maxTokens: 100 }
  const answer = await extra.sendRequest(
    { method: 'sampling/createMessage', params },
    CreateMessageResultSchema,
  )
  return said(text(`LLM response: ${JSON.stringify(answer.content)}`))
}

async function elicit(
  message: string,
  properties: Readonly<Record<string, unknown>>,
  required: readonly string[],
  extra: Extra,
): Promise<CallToolResult> {
  const requestedSchema = { type: 'object', properties, required }
  // What the scenarios want to see is more than the SDK's own type for it knows.
  const request = { method: 'elicitation/create', params: { message, requestedSchema } } as ServerRequest
  const { action, content } = await extra.sendRequest(request, ElicitResultSchema)
  return said(text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`))
}

/** Ends the stream of events in the midst of a call; the answer waits for the client to come back (SEP-1699). */
async function reconnect(extra: Extra): Promise<CallToolResult> {
  extra.closeSSEStream?.()
  await sleep(RECONNECTION_MS)
  return said(text('Reconnection test completed'))
}

/** A default for every primitive type (SEP-1034). */
const DEFAULTS = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
}

const titled = (kind: string) =>
  ['First', 'Second', 'Third'].map((title, index) => ({
    const: `value${index + 1}`,
    title: `${title} ${kind}`,
  }))
const options = ['option1', 'option2', 'option3']

/** Every way to offer a choice (SEP-1330). */
const ENUMS = {
  untitledSingle: { type: 'string', enum: options },
  titledSingle: { type: 'string', oneOf: titled('Option') },
  legacyEnum: {
    type: 'string',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
  titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
}

const USER = {
  username: { type: 'string', description: "User's response" },
  email: { type: 'string', description: "User's email address" },
}

const needs = (name: string): Tool['inputSchema'] => ({
  type: 'object',
  properties: { [name]: { type: 'string' } },
  required: [name],
})

const NO_ARGUMENTS: Tool['inputSchema'] = { type: 'object', properties: {} }

const TOOLS: Readonly<Record<string, OfferedTool>> = {
  test_simple_text: {
    description: 'Answers with text',
    call: () => said(text('This is a simple text response for testing.')),
  },
  test_image_content: { description: 'Answers with an image', call: () => said(image) },
  test_audio_content: {
    description: 'Answers with sound',
    call: () => said({ type: 'audio', data: WAV, mimeType: 'audio/wav' }),
  },
  test_embedded_resource: {
    description: 'Answers with a resource',
    call: () =>
      said({
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      }),
  },
  test_multiple_content_types: {
    description: 'Answers with text, an image and a resource',
    call: () =>
      said(text('Multiple content types test:'), image, {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: JSON.stringify({ test: 'data', value: 123 }),
        },
      }),
  },
  test_tool_with_logging: {
    description: 'Logs while it works',
    call: (_given, extra) => withLogging(extra),
  },
  test_tool_with_progress: {
    description: 'Tells of its progress',
    call: (_given, extra) => withProgress(extra),
  },
  test_error_handling: {
    description: 'Fails',
    call: () => ({
      ...said(text('This tool intentionally returns an error for testing')),
      isError: true,
    }),
  },
  test_sampling: {
    description: "Asks the client's model",
    inputSchema: needs('prompt'),
    call: ({ prompt }, extra) => sample(String(prompt), extra),
  },
  test_elicitation: {
    description: 'Asks the user',
    inputSchema: needs('message'),
    call: ({ message }, extra) => elicit(String(message), USER, Object.keys(USER), extra),
  },
  test_elicitation_sep1034_defaults: {
    description: 'Asks the user, with defaults',
    call: (_given, extra) => elicit('Please look at the defaults', DEFAULTS, [], extra),
  },
  test_elicitation_sep1330_enums: {
    description: 'Lets the user choose',
    call: (_given, extra) => elicit('Please choose', ENUMS, [], extra),
  },
  test_reconnection: {
    description: 'Ends its stream before it answers',
    call: (_given, extra) => reconnect(extra),
  },
  json_schema_2020_12_tool: {
    description: 'Tool with JSON Schema 2020-12 features',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
      additionalProperties: false,
    },
    call: (given) => said(text(`JSON Schema 2020-12 tool called with: ${JSON.stringify(given)}`)),
  },
}

export const tools = (): Tool[] =>
  Object.entries(TOOLS).map(([name, { call: _, inputSchema = NO_ARGUMENTS, ...tool }]) => ({
    ...tool,
    name,
    inputSchema,
  }))

export async function callTool(name: string, given: Arguments, extra: Extra): Promise<CallToolResult> {
  const tool = TOOLS[name]
  if (tool === undefined) throw new Error(`Unknown tool: ${name}`)
  return tool.call(given, extra)
}

// Resources.

export const resources = () => [
  {
    uri: 'test://static-text',
    name: 'static-text',
    description: 'Text that stays as it is',
    mimeType: 'text/plain',
  },
  {
    uri: 'test://static-binary',
    name: 'static-binary',
    description: 'An image that stays as it is',
    mimeType: 'image/png',
  },
  {
    uri: 'test://watched-resource',
    name: 'watched-resource',
    description: 'Worth a subscription',
    mimeType: 'text/plain',
  },
]

export const resourceTemplates = () => [
  {
    uriTemplate: 'test://template/{id}/data',
    name: 'template',
    description: 'Data by id',
    mimeType: 'application/json',
  },
]

export function readResource(uri: string): ReadResourceResult {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1]
  if (id !== undefined) {
    const data = { id, templateTest: true, data: `Data for ID: ${id}` }
    return { contents: [{ uri, mimeType: 'application/json', text: JSON.stringify(data) }] }
  }
  switch (uri) {
    case 'test://static-text':
      return {
        contents: [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
      }
    case 'test://static-binary':
      return { contents: [{ uri, mimeType: 'image/png', blob: PNG }] }
    case 'test://watched-resource':
      return { contents: [{ uri, mimeType: 'text/plain', text: 'Watched resource content.' }] }
    default:
      throw new Error(`Unknown resource: ${uri}`)
  }
}

// Prompts.

const argument = (name: string) => ({ name, description: `The argument ${name}`, required: true })

export const prompts = () => [
  { name: 'test_simple_prompt', description: 'A prompt without arguments' },
  {
    name: 'test_prompt_with_arguments',
    description: 'A prompt with two arguments',
    arguments: [argument('arg1'), argument('arg2')],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A prompt that holds a resource',
    arguments: [argument('resourceUri')],
  },
  { name: 'test_prompt_with_image', description: 'A prompt that holds an image' },
]

type PromptContent = GetPromptResult['messages'][number]['content']

const asked = (...contents: PromptContent[]): GetPromptResult => ({
  messages: contents.map((content) => ({ role: 'user', content })),
})

export function getPrompt(name: string, given: Readonly<Record<string, string>>): GetPromptResult {
  switch (name) {
    case 'test_simple_prompt':
      return asked(text('This is a simple prompt for testing.'))
    case 'test_prompt_with_arguments':
      return asked(text(`Prompt with arguments: arg1='${given.arg1}', arg2='${given.arg2}'`))
    case 'test_prompt_with_embedded_resource':
      return asked(
        {
          type: 'resource',
          resource: {
            uri: String(given.resourceUri),
            mimeType: 'text/plain',
            text: 'Embedded resource content for testing.',
          },
        },
        text('Please process the embedded resource above.'),
      )
    case 'test_prompt_with_image':
      return asked(image, text('Please analyze the image above.'))
    default:
      throw new Error(`Unknown prompt: ${name}`)
  }
}
