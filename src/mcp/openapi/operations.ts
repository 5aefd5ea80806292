/**
 * Every operation of a document, read far enough to describe it as a tool and to call it.
 *
 * An operation that cannot be read is an error for the whole document: a tool that is silently missing is found out
 * much later.
 */
import { z } from 'zod'
import { isObject, type JsonObject, own } from './json.ts'
import { type Parameter, parametersOf } from './parameters.ts'
import { type PathTemplate, pathTemplate } from './path-template.ts'
import { checked, OpenApiProblem, under } from './problem.ts'
import { follow, type Spot } from './references.ts'
import { type RequestBody, requestBodyOf } from './request-body.ts'
import { serverPrefix } from './server-prefix.ts'

export interface Operation {
  readonly name: string
  readonly summary: string | undefined
  readonly description: string | undefined
  readonly method: string
  readonly place: string
  readonly prefix: string
  readonly template: PathTemplate
  readonly parameters: readonly Parameter[]
  readonly body: RequestBody | undefined
}

const MAX_OPERATIONS = 2_000
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const

const operationSchema = z.object({
  operationId: z.string().nullish(),
  summary: z.string().nullish(),
  description: z.string().nullish(),
  parameters: z.unknown().optional(),
  requestBody: z.unknown().optional(),
  servers: z.unknown().optional(),
})

export function operationsOf(root: JsonObject): Operation[] {
  if (!isObject(root.paths))
    throw new OpenApiProblem('#/paths', 'has to be an object: it lists the operations')
  const operations: Operation[] = []
  const placeByName = new Map<string, string>()
  for (const [path, start] of Object.entries(root.paths)) {
    if (path.startsWith('x-')) continue
    const item = follow(root, { value: start, place: under('#/paths', path) })
    for (const method of METHODS) {
      const operation = operationOf(root, { method, path, item })
      if (operation === undefined) continue
      const { name, place } = operation
      const before = placeByName.get(name)
      if (before !== undefined)
        throw new OpenApiProblem(
          place,
          `the operationId \`${name}\` is already that of ${before}: change one`,
        )
      placeByName.set(name, place)
      operations.push(operation)
      if (operations.length > MAX_OPERATIONS)
        throw new OpenApiProblem(
          '#/paths',
          'has more than 2,000 operations: leave out what nobody needs as a tool',
        )
    }
  }
  return operations
}

interface Position {
  readonly method: (typeof METHODS)[number]
  readonly path: string
  readonly item: Spot
}

function operationOf(root: JsonObject, { method, path, item }: Position): Operation | undefined {
  if (item.value === null || item.value === undefined) return undefined
  if (!isObject(item.value)) throw new OpenApiProblem(item.place, 'has to be an object')
  const value = own(item.value, method)
  if (value === undefined || value === null) return undefined
  const place = `${method.toUpperCase()} ${path} at ${under(item.place, method)}`
  const at = (key: string, of: unknown): Spot => ({ value: of, place: under(place, key) })
  const declared = checked(operationSchema, value, place)
  if (!declared.operationId)
    throw new OpenApiProblem(place, "has no operationId: add one, it becomes the tool's name")

  const template = pathTemplate(path, place)
  const parameters = parametersOf(root, {
    ofPath: { value: item.value.parameters, place: under(item.place, 'parameters') },
    ofOperation: at('parameters', declared.parameters),
  })
  const inPath = new Set(parameters.flatMap(({ group, name }) => (group === 'path' ? name : [])))
  for (const name of template.parameters) {
    if (!inPath.has(name))
      throw new OpenApiProblem(
        place,
        `\`{${name}}\` of the path is not among the path parameters: declare it`,
      )
  }
  return {
    name: declared.operationId,
    summary: declared.summary ?? undefined,
    description: declared.description ?? undefined,
    method: method.toUpperCase(),
    place,
    prefix: serverPrefix(serversOf(root, item, at('servers', declared.servers))),
    template,
    // One that the path has no place for could be set without effect.
    parameters: parameters.filter(({ group, name }) => group !== 'path' || template.parameters.has(name)),
    body: requestBodyOf(root, at('requestBody', declared.requestBody)),
  }
}

/** The nearest ones. https://spec.openapis.org/oas/v3.1.1#operation-object */
function serversOf(root: JsonObject, item: Spot, ofOperation: Spot): Spot {
  if (ofOperation.value !== undefined) return ofOperation
  const ofPath = isObject(item.value) ? item.value.servers : undefined
  if (ofPath !== undefined) return { value: ofPath, place: under(item.place, 'servers') }
  return { value: root.servers, place: '#/servers' }
}
