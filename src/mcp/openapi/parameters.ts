/**
 * An operation's parameters, with those of its path.
 *
 * Some headers are dropped even though they are declared: OpenAPI has three of them ignored (credentials are the
 * configuration's business), the others describe the connection or the body and belong to whoever sends the request.
 * https://spec.openapis.org/oas/v3.1.1#parameter-object
 */
import { z } from 'zod'
import { headerName } from '../../core/schema.ts'
import type { JsonObject } from './json.ts'
import { checked, OpenApiProblem, under } from './problem.ts'
import { follow, type Spot } from './references.ts'

export type ParameterGroup = 'path' | 'query' | 'header'

export interface Parameter {
  readonly name: string
  readonly group: ParameterGroup
  readonly required: boolean
  readonly description: string | undefined
  readonly schema: Spot
  /** Between the items of a list, encoded; undefined: the key is repeated. */
  readonly delimiter: string | undefined
}

const parameterSchema = z.object({
  name: z.string().min(1, { error: 'must not be empty' }),
  in: z.enum(['path', 'query', 'header', 'cookie'], { error: 'has to be path, query, header or cookie' }),
  required: z.boolean().nullish(),
  description: z.string().nullish(),
  schema: z.unknown().optional(),
  content: z.unknown().optional(),
  style: z.string().nullish(),
  explode: z.boolean().nullish(),
})
type Declared = z.output<typeof parameterSchema> & { readonly place: string }

const listSchema = z.array(z.unknown()).nullish()

const UNSENDABLE_HEADERS = new Set([
  'accept',
  'authorization',
  'content-type',
  'connection',
  'content-encoding',
  'content-length',
  'cookie',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

interface ParameterLists {
  readonly ofPath: Spot
  readonly ofOperation: Spot
}

export function parametersOf(root: JsonObject, lists: ParameterLists): Parameter[] {
  const merged = new Map<string, Declared>()
  for (const parameter of declaredIn(root, lists.ofPath)) {
    if (parameter.in !== 'cookie') merged.set(keyOf(parameter), parameter)
  }
  for (const parameter of declaredIn(root, lists.ofOperation)) {
    if (parameter.in === 'cookie')
      throw new OpenApiProblem(
        parameter.place,
        `the cookie parameter \`${parameter.name}\` is not supported: remove it, or send it by the backend's policies`,
      )
    merged.set(keyOf(parameter), parameter)
  }
  return [...merged.values()].flatMap((parameter) => readParameter(parameter) ?? [])
}

const keyOf = ({ in: group, name }: Declared) => `${group}:${group === 'header' ? name.toLowerCase() : name}`

function declaredIn(root: JsonObject, { value, place }: Spot): Declared[] {
  const list = checked(listSchema, value, place) ?? []
  return list.map((item, index) => {
    const spot = follow(root, { value: item, place: under(place, index) })
    return { ...checked(parameterSchema, spot.value, spot.place), place: spot.place }
  })
}

function readParameter(parameter: Declared): Parameter | undefined {
  const { name, in: group, place, schema } = parameter
  if (group === 'cookie') return undefined
  if (group === 'header') {
    if (!headerName.safeParse(name).success)
      throw new OpenApiProblem(place, `\`${name}\` is not a header name`)
    if (UNSENDABLE_HEADERS.has(name.toLowerCase())) return undefined
  }
  if (parameter.content !== undefined)
    throw new OpenApiProblem(place, `\`${name}\` has \`content\`, which is not supported: use \`schema\``)
  if (schema === undefined) throw new OpenApiProblem(place, `\`${name}\` has no \`schema\`: add one`)
  return {
    name,
    group,
    required: group === 'path' || parameter.required === true,
    description: parameter.description ?? undefined,
    schema: { value: schema, place: under(place, 'schema') },
    delimiter: delimiterOf(parameter),
  }
}

/** https://spec.openapis.org/oas/v3.1.1#style-values */
const DELIMITERS = new Map([
  ['form', ','],
  ['spaceDelimited', '%20'],
  ['pipeDelimited', '%7C'],
])

function delimiterOf({ style, explode }: Declared): string | undefined {
  const known = style ?? 'form'
  return (explode ?? known === 'form') ? undefined : DELIMITERS.get(known)
}
