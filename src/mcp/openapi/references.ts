/**
 * `$ref` within the document. https://www.rfc-editor.org/rfc/rfc6901
 *
 * Only `#/components/…` is followed: a reference to a file or a URL would have the gateway read what a document from
 * elsewhere tells it to.
 */
import { isObject, type JsonObject, own } from './json.ts'
import { OpenApiProblem } from './problem.ts'

/** A value of the document and where it stands. */
export interface Spot {
  readonly value: unknown
  readonly place: string
}

const unescapeKey = (key: string) => key.replaceAll('~1', '/').replaceAll('~0', '~')

function keysOf(reference: string, place: string): string[] {
  const at = `\`$ref: ${reference}\``
  if (!reference.startsWith('#/components/'))
    throw new OpenApiProblem(
      place,
      `${at} is not supported: only \`#/components/…\` is; bundle the document into one file`,
    )
  try {
    return reference
      .slice(2)
      .split('/')
      .map((key) => unescapeKey(decodeURIComponent(key)))
  } catch (cause) {
    throw new OpenApiProblem(place, `${at} has a broken percent-encoding`, { cause })
  }
}

export function lookUp(root: JsonObject, reference: string, place: string): Spot {
  let value: unknown = root
  for (const key of keysOf(reference, place)) {
    if (isObject(value)) value = own(value, key)
    else value = Array.isArray(value) && /^\d+$/.test(key) ? value[Number(key)] : undefined
  }
  if (value === undefined)
    throw new OpenApiProblem(place, `\`$ref: ${reference}\` leads nowhere: define it or correct the name`)
  return { value, place: reference }
}

/** The reference of `{$ref: '…'}`, undefined of anything else. */
export function referenceOf(value: unknown, place: string): string | undefined {
  if (!isObject(value) || !Object.hasOwn(value, '$ref')) return undefined
  if (typeof value.$ref === 'string') return value.$ref
  throw new OpenApiProblem(place, '`$ref` has to be text')
}

const MAX_CHAIN = 100

/** What the value, or the end of its chain of references, is. */
export function follow(root: JsonObject, start: Spot): Spot {
  const seen = new Set<string>()
  let spot = start
  for (;;) {
    const reference = referenceOf(spot.value, spot.place)
    if (reference === undefined) return spot
    if (seen.has(reference))
      throw new OpenApiProblem(start.place, `\`$ref: ${reference}\` leads back to itself`)
    if (seen.size >= MAX_CHAIN)
      throw new OpenApiProblem(start.place, `a chain of more than ${MAX_CHAIN} references begins here`)
    seen.add(reference)
    spot = lookUp(root, reference, spot.place)
  }
}
