/**
 * Two simulated MCP servers for the demo, on standard streams: one tells the weather, one keeps notes.
 *
 * They speak the wire format of the servers that people run, line by line; of their tools one fails and one is slow.
 */
import type { Readable, Writable } from 'node:stream'

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

interface Tool {
  readonly description: string
  readonly properties: Json
  readonly run: (args: Json) => Json | Promise<Json>
}

interface Persona {
  readonly instructions: string
  readonly tools: Readonly<Record<string, Tool>>
  readonly resources: Readonly<Record<string, string>>
  readonly prompts: Readonly<Record<string, string>>
}

const text = (words: string): Json => ({ content: [{ type: 'text', text: words }] })
const city = { city: { type: 'string', description: 'Name of a city' } }
/** Long enough to be seen among the others. */
const SLOW_MS = 400

const NOTES: Readonly<Record<string, string>> = {
  'memo://deploy': 'Deployments are on Tuesdays, after the stand-up.',
  'memo://tides': 'Two high tides a day, about twelve and a half hours apart.',
}

const PERSONAS: Readonly<Record<string, Persona>> = {
  weather: {
    instructions: 'Tells the weather of any city. It is made up.',
    tools: {
      forecast: {
        description: 'The weather of the next days',
        properties: city,
        run: ({ city: name }) =>
          text(`${String(name)}: 21 degrees, a light wind, dry until tomorrow evening.`),
      },
      history: {
        description: 'The weather of the last years; takes a moment',
        properties: city,
        run: async ({ city: name }) => {
          await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
          return text(`${String(name)}: the last ten summers were warmer than the ten before.`)
        },
      },
      alerts: {
        description: 'Warnings; the office that issues them is closed',
        properties: city,
        run: () => ({ ...text('The warning service does not answer.'), isError: true }),
      },
    },
    resources: {},
    prompts: {},
  },
  notes: {
    instructions: 'Keeps short notes.',
    tools: {
      search: {
        description: 'Notes that hold a word',
        properties: { word: { type: 'string' } },
        run: ({ word }) => {
          const found = Object.entries(NOTES).filter(([, note]) =>
            note.toLowerCase().includes(String(word).toLowerCase()),
          )
          return {
            content: found.map(([uri]) => ({
              type: 'resource_link',
              uri,
              name: uri.slice('memo://'.length),
            })),
          }
        },
      },
    },
    resources: NOTES,
    prompts: { summary: 'Sum up all notes in one sentence.' },
  },
}

export const MCP_PERSONAS = Object.keys(PERSONAS)

class Refusal extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

function named<T>(entries: Readonly<Record<string, T>>, name: unknown, what: string): T {
  const found = typeof name === 'string' && Object.hasOwn(entries, name) ? entries[name] : undefined
  if (found === undefined) throw new Refusal(-32602, `Unknown ${what}: ${String(name)}`)
  return found
}

async function answer(name: string, persona: Persona, method: string, params: Json): Promise<Json> {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: typeof params.protocolVersion === 'string' ? params.protocolVersion : '2025-11-25',
        capabilities: { tools: {}, resources: {}, prompts: {} },
        serverInfo: { name: `simulated-${name}`, version: '1.0.0' },
        instructions: persona.instructions,
      }
    case 'ping':
      return {}
    case 'tools/list':
      return {
        tools: Object.entries(persona.tools).map(([tool, { description, properties }]) => ({
          name: tool,
          description,
          inputSchema: { type: 'object', properties, required: Object.keys(properties) },
        })),
      }
    case 'tools/call':
      return named(persona.tools, params.name, 'tool').run(isObject(params.arguments) ? params.arguments : {})
    case 'resources/list':
      return {
        resources: Object.keys(persona.resources).map((uri) => ({ uri, name: uri.slice('memo://'.length) })),
      }
    case 'resources/templates/list':
      return { resourceTemplates: [] }
    case 'resources/read': {
      const note = named(persona.resources, params.uri, 'resource')
      return { contents: [{ uri: params.uri, mimeType: 'text/plain', text: note }] }
    }
    case 'prompts/list':
      return { prompts: Object.keys(persona.prompts).map((prompt) => ({ name: prompt })) }
    case 'prompts/get': {
      const words = named(persona.prompts, params.name, 'prompt')
      return { messages: [{ role: 'user', content: { type: 'text', text: words } }] }
    }
    default:
      throw new Refusal(-32601, `Method not found: ${method}`)
  }
}

/** Serves until the input ends. `name` is one of `MCP_PERSONAS`. */
export async function serveSimulatedMcp(name: string, input: Readable, output: Writable): Promise<void> {
  const persona = named(PERSONAS, name, 'server')
  const reply = (message: Json) => output.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  let rest = ''
  for await (const chunk of input.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const message: unknown = line.trim() === '' ? undefined : JSON.parse(line)
      if (!isObject(message) || typeof message.method !== 'string' || message.id === undefined) continue
      const { id, method, params } = message
      answer(name, persona, method, isObject(params) ? params : {}).then(
        (result) => reply({ id, result }),
        (error: unknown) => {
          const code = error instanceof Refusal ? error.code : -32603
          reply({ id, error: { code, message: error instanceof Error ? error.message : String(error) } })
        },
      )
    }
  }
}
