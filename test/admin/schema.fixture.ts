/** `docs/admin-api.yaml` as a judge of answers: which call it is, and whether the answer is what the document promises. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'
import type { Reply } from '../support/wire.ts'

interface MediaType {
  readonly schema?: unknown
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
  readonly 'x-events'?: Readonly<Record<string, unknown>>
}
interface ResponseObject {
  readonly $ref?: string
  readonly description: string
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>
  readonly content?: Readonly<Record<string, MediaType>>
}
export interface Operation {
  readonly operationId?: string
  readonly summary: string
  readonly security?: readonly unknown[]
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> }
  readonly responses: Readonly<Record<string, ResponseObject>>
}
interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly responses: Readonly<Record<string, ResponseObject>>
    readonly schemas: Readonly<Record<string, unknown>>
  }
}

export const document = parse(
  readFileSync(fileURLToPath(new URL('../../docs/admin-api.yaml', import.meta.url)), 'utf8'),
) as Document

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options', 'head']

export const operations: readonly {
  readonly path: string
  readonly method: string
  readonly operation: Operation
}[] = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => METHODS.includes(method))
    .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
)

const ajv = new Ajv2020({
  strict: true,
  allErrors: true,
  allowUnionTypes: true,
  strictTypes: false,
  strictRequired: false,
})
addFormats.default(ajv)
// Of OpenAPI, not of JSON schema: words for people.
ajv.addVocabulary(['example', 'components', 'openapi', 'info', 'servers', 'security', 'tags', 'paths'])
ajv.addSchema({ ...document, $id: 'api' })

const compiled = new Map<string, ValidateFunction>()

/** A reference within the document, from outside of it. */
const outside = (schema: unknown): unknown =>
  JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"api#/'))

/** What is wrong with a value; empty when nothing is. */
export function faults(schema: unknown, value: unknown): readonly string[] {
  const key = JSON.stringify(schema)
  const validate = compiled.get(key) ?? ajv.compile(outside(schema) as object)
  compiled.set(key, validate)
  if (validate(value)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  )
}

export const schemaNamed = (name: string) => ({ $ref: `#/components/schemas/${name}` })

const resolved = (response: ResponseObject): ResponseObject =>
  response.$ref === undefined
    ? response
    : (document.components.responses[response.$ref.split('/').at(-1) ?? ''] ?? response)

/** The operation that a request is; `{…}` at a path's end may hold slashes. */
export function operationOf(method: string, url: string) {
  const [path = ''] = url.split('?')
  const exact = operations.find((one) => one.method === method && one.path === path)
  if (exact !== undefined) return exact
  return operations.find(({ path: pattern, method: own }) => {
    const expression = pattern.replace(/\{[^}]+\}$/, '.+').replaceAll(/\{[^}]+\}/g, '[^/]+')
    return own === method && pattern.includes('{') && new RegExp(`^${expression}$`).test(path)
  })
}

/** Whether the document has this answer for the request: its status, type, headers and shape. */
export function answerFaults(method: string, url: string, reply: Reply): readonly string[] {
  const found = operationOf(method, url)
  if (found === undefined) return [`${method} ${url} is not in the document`]
  const { responses } = found.operation
  const listed = responses[reply.status] ?? responses.default
  if (listed === undefined) return [`${method} ${url}: ${reply.status} is not in the document: ${reply.body}`]
  const { content = {}, headers = {} } = resolved(listed)
  const missing = Object.entries(headers).filter(
    ([name, header]) => header.required === true && reply.headers[name] === undefined,
  )
  const type = (reply.headers['content-type'] ?? '').split(';')[0] ?? ''
  const media = content[type] ?? content['*/*']
  if (media === undefined) return [`${method} ${url}: ${reply.status} has the type ${type}`]
  return [
    ...missing.map(([name]) => `${method} ${url}: ${reply.status} has no ${name}`),
    ...(type === 'application/json' && media.schema !== undefined
      ? faults(media.schema, JSON.parse(reply.body))
      : []),
  ]
}

/** Every example of the document with the schema that it has to fit. */
export const examples = operations.flatMap(({ path, method, operation }) => {
  const media: [string, MediaType][] = [
    ...Object.values(operation.requestBody?.content ?? {}).map(
      (one) => ['request', one] as [string, MediaType],
    ),
    ...Object.entries(operation.responses).flatMap(([status, response]) =>
      Object.entries(resolved(response).content ?? {})
        .filter(([type]) => type === 'application/json')
        .map(([, one]) => [status, one] as [string, MediaType]),
    ),
  ]
  return media.flatMap(([of, { schema, example, examples: several = {} }]) =>
    [...(example === undefined ? [] : [example]), ...Object.values(several).map(({ value }) => value)].map(
      (value) => ({ name: `${method} ${path} ${of}`, schema, value }),
    ),
  )
})
