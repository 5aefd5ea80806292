/**
 * An OpenAPI document as MCP tools: one per operation, under its operationId.
 *
 * Nothing here does I/O, and nothing of the document says where requests go: the host is the configuration's.
 */
import { readOpenApiDocument } from './document.ts'
import { type Inline, withoutReferences } from './inline-schemas.ts'
import { isObject, type JsonObject, weightOf } from './json.ts'
import { type Operation, operationsOf } from './operations.ts'
import type { Parameter, ParameterGroup } from './parameters.ts'
import { OpenApiProblem } from './problem.ts'
import type { RequestBody } from './request-body.ts'
import { type HttpCall, httpCall } from './tool-call.ts'

export interface OpenApiTool {
  readonly name: string
  readonly title?: string
  readonly description?: string
  readonly inputSchema: JsonObject
  /** Never there: clients refuse a result that strays from it, and replies stray from their documents. */
  readonly outputSchema?: JsonObject
  readonly annotations?: ToolAnnotations
}

export interface ToolAnnotations {
  readonly readOnlyHint?: boolean
  readonly destructiveHint?: boolean
  readonly idempotentHint?: boolean
}

export interface OpenApiCatalog {
  readonly tools: readonly OpenApiTool[]
  /** Undefined: no such tool. Throws an OpenApiArgumentError that names the argument. */
  readonly call: (toolName: string, args: JsonObject) => HttpCall | undefined
}

/** Characters of JSON, of all tools together. */
const MAX_TOOLS = 32_000_000
const MAX_TITLE_BYTES = 64

/** From YAML or JSON. Throws an OpenApiProblem that names the place. */
export function openApiCatalog(text: string): OpenApiCatalog {
  const root = readOpenApiDocument(text)
  const operations = operationsOf(root)
  let weight = 0
  const tools = operations.map((operation) => {
    const schema = withoutReferences(root, (inline) => inputSchema(operation, inline))
    const tool = toolOf(operation, schema)
    weight += weightOf(tool)
    if (weight > MAX_TOOLS)
      throw new OpenApiProblem(
        '#/paths',
        'makes tools of more than 32 MB: leave out what nobody needs as a tool',
      )
    return tool
  })
  const byName = new Map(operations.map((operation) => [operation.name, operation]))
  return {
    tools,
    call: (toolName, args) => {
      const operation = byName.get(toolName)
      return operation === undefined ? undefined : httpCall(operation, args)
    },
  }
}

function toolOf(operation: Operation, schema: JsonObject): OpenApiTool {
  const { name, summary, description, method } = operation
  const annotations = annotationsOf(method)
  return {
    name,
    ...(summary && { title: cut(summary, MAX_TITLE_BYTES) }),
    description: description || summary || name,
    inputSchema: schema,
    ...(annotations !== undefined && { annotations }),
  }
}

/** Never in the middle of a character: `encodeInto` only writes whole ones. */
function cut(text: string, bytes: number): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(bytes)).read)
}

/** https://www.rfc-editor.org/rfc/rfc9110#section-9.2 */
const ANNOTATIONS = new Map<string, ToolAnnotations>([
  ['GET', { readOnlyHint: true, idempotentHint: true }],
  ['HEAD', { readOnlyHint: true, idempotentHint: true }],
  ['PUT', { idempotentHint: true }],
  ['DELETE', { destructiveHint: true, idempotentHint: true }],
])
const annotationsOf = (method: string) => ANNOTATIONS.get(method)

function inputSchema({ parameters, body }: Operation, inline: Inline): JsonObject {
  const groups: readonly ParameterGroup[] = ['path', 'query', 'header']
  const properties: [string, unknown][] = []
  const required: string[] = []
  for (const group of groups) {
    const members = parameters.filter((parameter) => parameter.group === group)
    if (members.length === 0) continue
    properties.push([group, groupSchema(members, inline)])
    if (members.some((member) => member.required)) required.push(group)
  }
  if (body !== undefined) {
    properties.push(['body', bodySchema(body, inline)])
    if (body.required) required.push('body')
  }
  return objectSchema(properties, required)
}

const groupSchema = (members: readonly Parameter[], inline: Inline): JsonObject =>
  objectSchema(
    members.map(({ name, schema, description }) => [name, described(inline(schema), description)]),
    members.flatMap(({ name, required }) => (required ? name : [])),
  )

function bodySchema({ kind, schema, description, contentType }: RequestBody, inline: Inline): unknown {
  if (kind === 'json') {
    const inlined = inline(schema)
    // The schema's own words are closer to what goes into it than "the pet to add".
    return isObject(inlined) && inlined.description !== undefined ? inlined : described(inlined, description)
  }
  return described({ type: 'string', contentEncoding: 'base64', contentMediaType: contentType }, description)
}

function described(schema: unknown, description: string | undefined): unknown {
  if (!description) return schema
  // `false` allows nothing: a description must not widen it.
  if (schema === false) return schema
  return { ...(isObject(schema) ? schema : {}), description }
}

function objectSchema(properties: readonly [string, unknown][], required: readonly string[]): JsonObject {
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}
