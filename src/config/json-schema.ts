/**
 * The JSON schema of the configuration file, for editors: `schema/config.json`.
 *
 * Describes what is in the file before references to the environment are replaced, so `port: $PORT` is valid. The
 * descriptions come out of the tables of docs/configuration.md, which thus are the only place for them.
 */
import { z } from 'zod'
import { configSchema } from './schema.ts'

type JsonSchema = z.core.JSONSchema.JSONSchema

const REFERENCE = { $ref: '#/$defs/environmentReference' }

export function configJsonSchema(descriptions: ReadonlyMap<string, string> = new Map()): JsonSchema {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      // `openAI:` with nothing after it stands for an empty object.
      const { def } = zodSchema._zod
      if (def.type === 'pipe' && def.in._zod.def.type === 'transform' && jsonSchema.type === 'object')
        Object.assign(jsonSchema, { type: ['object', 'null'] })
      // Says the same as `pattern`, in a way that no other tool knows.
      if (jsonSchema.format === 'starts_with') delete jsonSchema.format
    },
  })
  const finished = finish(schema, '', descriptions)
  return {
    ...finished,
    title: 'AgentGateway configuration',
    $defs: {
      environmentReference: {
        type: 'string',
        pattern: '\\$(?:[A-Za-z_$]|\\{)',
        description: `Holds references to environment variables: $NAME, \${NAME} or \${NAME:-default}.`,
      },
    },
  }
}

/** Adds descriptions, and references wherever a value is not free text. */
function finish(schema: JsonSchema, path: string, descriptions: ReadonlyMap<string, string>): JsonSchema {
  const inner = (value: JsonSchema | boolean, at: string) =>
    typeof value === 'boolean' ? value : finish(value, at, descriptions)
  // The only recursive part of the schema is arbitrary JSON, of which there is nothing to say.
  if (schema.$ref?.startsWith('#/$defs/__schema') === true) return {}
  const finished: JsonSchema = { ...schema }
  if (schema.properties !== undefined)
    finished.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([key, value]) => {
        const at = path === '' ? key : `${path}.${key}`
        const description = descriptions.get(canonicalPath(at))
        const property = inner(value, at)
        if (typeof property === 'boolean' || description === undefined) return [key, property]
        return [key, { description, ...property }]
      }),
    )
  if (typeof schema.items === 'object' && !Array.isArray(schema.items))
    finished.items = inner(schema.items, `${path}[]`)
  if (schema.additionalProperties !== undefined)
    finished.additionalProperties = inner(schema.additionalProperties, `${path}.*`)
  if (schema.anyOf !== undefined) {
    const branches = schema.anyOf.map((branch) => finish(branch, path, descriptions))
    // One reference for the whole union.
    const own = branches.map((branch) =>
      branch.anyOf?.[1]?.$ref === REFERENCE.$ref ? (branch.anyOf[0] ?? branch) : branch,
    )
    finished.anyOf = own.some((branch, index) => branch !== branches[index]) ? [...own, REFERENCE] : own
  }
  return needsReference(schema) ? { anyOf: [finished, REFERENCE] } : finished
}

function needsReference(schema: JsonSchema): boolean {
  if (schema.type === 'number' || schema.type === 'integer' || schema.type === 'boolean') return true
  return schema.type === 'string' && (schema.pattern ?? schema.enum ?? schema.const) !== undefined
}

const CANONICAL: readonly (readonly [RegExp, string])[] = [
  [/^gateways\.\*\.tls\./, 'listeners[].tls.'],
  [/^gateways\.\*\.listeners\[\]/, 'listeners[]'],
  [/^(?:binds\[\]\.listeners\[\]\.)?routes\[\]\.backends\[\]/, 'backends[]'],
  [/^backends\[\]\.ai\.groups\[\]\.providers\[\]/, 'backends[].ai'],
  [/^backends\[\]\.mcp/, 'mcp'],
  [/^mcp\.(?:targets\[\]\.)?policies/, 'policies'],
  [/^backends\[\]\.(?:ai\.)?policies/, 'policies'],
  [/^llm\.providers\[\]\.(?:defaults\.|(?=provider|params))/, 'llm.models[].'],
  [/^llm\.models\[\]\.(?=provider\.custom\.)/, 'backends[].ai.'],
  [/^llm\.models\[\]\.tls\./, 'policies.backendTLS.'],
  [/^llm\.models\[\]\.auth\./, 'policies.backendAuth.'],
  [/^llm\.models\[\]\.health\./, 'policies.health.'],
  [/^llm\.models\[\]\.requestHeaders\./, 'policies.requestHeaderModifier.'],
  [/^llm\.models\[\]\.responseHeaders\./, 'policies.responseHeaderModifier.'],
  [/^llm\.(?:models\[\]|policies)\.guardrails\./, 'policies.ai.promptGuard.'],
  [/^llm\.policies\.(?!guardrails)/, 'policies.'],
  [/^(?:binds\[\]\.listeners\[\]\.)?routes\[\]\.policies/, 'policies'],
  [/^(policies\.\w+)\.conditional\[\]\.(?!condition$)/, '$1.'],
  [/^policies\.localRateLimit\.(?!conditional\b)/, 'policies.localRateLimit[].'],
  [/^policies\.ai\.promptGuard\.request\[\]\.openAIModeration\.policies\./, 'policies.'],
  [/^binds\[\]\.listeners\[\]\.routes\[\]/, 'routes[]'],
  [/^binds\[\]\.listeners\[\]/, 'listeners[]'],
]

/** The path under which the documentation has a key that occurs in several places. */
export function canonicalPath(path: string): string {
  return CANONICAL.reduce((text, [pattern, name]) => text.replace(pattern, name), path)
}

/** Key path -> meaning, from the tables of docs/configuration.md that have `key` as their first column. */
export function documentedKeys(markdown: string): Map<string, string> {
  const keys = new Map<string, string>()
  let inTable = false
  for (const line of markdown.split('\n')) {
    if (!line.startsWith('|')) inTable = false
    else if (line.startsWith('| key |')) inTable = true
    else if (inTable && !line.startsWith('|-')) {
      const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
      const [, names = '', , fallback = '', meaning = ''] = cells
      const text = meaning + (fallback === '' || fallback === '-' ? '' : ` Default: ${fallback}.`)
      for (const [, name] of names.matchAll(/`([^`]+)`/g))
        if (name !== undefined) keys.set(name, text.replaceAll('`', ''))
    }
  }
  return keys
}
