/**
 * What an operation takes as its body: JSON, or bytes that travel as base64.
 *
 * Of other media types a model could write at best text that looks right, so the operation has no body argument then.
 */
import { z } from 'zod'
import type { JsonObject } from './json.ts'
import { checked, under } from './problem.ts'
import { follow, type Spot } from './references.ts'

export interface RequestBody {
  readonly kind: 'json' | 'bytes'
  readonly contentType: string
  readonly required: boolean
  readonly description: string | undefined
  readonly schema: Spot
}

const bodySchema = z.object({
  required: z.boolean().nullish(),
  description: z.string().nullish(),
  content: z.record(z.string(), z.object({ schema: z.unknown().optional() }).nullable()).nullish(),
})

const OCTET_STREAM = 'application/octet-stream'
const isJson = (type: string) => type === 'application/json'
const isJsonLike = (type: string) => /^[^/;]+\/[^/;]+\+json$/.test(type)

export function requestBodyOf(root: JsonObject, start: Spot): RequestBody | undefined {
  if (start.value === undefined || start.value === null) return undefined
  const { value, place } = follow(root, start)
  const body = checked(bodySchema, value, place)
  const offers = Object.entries(body.content ?? {}).map(([key, media]) => ({
    key,
    type: key.split(';', 1)[0]?.trim().toLowerCase() ?? '',
    schema: media?.schema,
  }))
  const json = offers.find(({ type }) => isJson(type)) ?? offers.find(({ type }) => isJsonLike(type))
  const chosen = json ?? offers.find(({ type }) => type === OCTET_STREAM)
  if (chosen === undefined) return undefined
  return {
    kind: json === undefined ? 'bytes' : 'json',
    contentType: chosen.type,
    required: body.required === true,
    description: body.description ?? undefined,
    schema: { value: chosen.schema, place: under(place, 'content', chosen.key, 'schema') },
  }
}
