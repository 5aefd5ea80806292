/**
 * `/pets/{petId}` and what a caller puts into it.
 *
 * Percent-encoding is not enough to keep a value in its place: `..` has no encoding that survives, and servers that
 * decode `%2F` before they look at the path resolve `..%2Fadmin`.
 */
import { type Label, scalarText } from './argument.ts'
import { type JsonObject, own } from './json.ts'
import { OpenApiArgumentError, OpenApiProblem } from './problem.ts'

type Piece = { readonly literal: string } | { readonly parameter: string }

export interface PathTemplate {
  /** What stands between slashes. */
  readonly segments: readonly (readonly Piece[])[]
  readonly parameters: ReadonlySet<string>
}

/** A `.` or `..` between slashes, encoded or not: some server on the way would resolve it. */
export const hasDots = (path: string) =>
  path
    .replace(/%2e/gi, '.')
    .split(/\/|\\|%2f|%5c/i)
    .some((segment) => segment === '.' || segment === '..')

export function pathTemplate(path: string, place: string): PathTemplate {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[?#\\\x00-\x20\x7f]/.test(path) || !path.isWellFormed())
    throw new OpenApiProblem(
      place,
      `the path \`${path}\` has a character that no path can have: a query belongs in \`parameters\``,
    )
  // Two slashes at the beginning of a path would be read as the name of a host.
  const segments = path
    .replace(/^\/+/, '')
    .split('/')
    .map((segment) => piecesOf(segment))
  const parameters = new Set<string>()
  for (const piece of segments.flat()) {
    if ('parameter' in piece) parameters.add(piece.parameter)
    else if (/[{}]/.test(piece.literal))
      throw new OpenApiProblem(place, `the path \`${path}\` has a brace without its other half`)
  }
  if (hasDots(path))
    throw new OpenApiProblem(place, `the path \`${path}\` has a segment of dots: write it without`)
  return { segments, parameters }
}

function piecesOf(segment: string): Piece[] {
  // A split by a pattern with a group alternates: literal, name, literal…
  return segment
    .split(/\{([^{}]*)\}/)
    .map((text, index): Piece => (index % 2 === 1 ? { parameter: text } : { literal: text }))
    .filter((piece) => !('literal' in piece) || piece.literal !== '')
}

/** Begins with a slash. */
export function fillPath(template: PathTemplate, values: JsonObject): string {
  return `/${template.segments.map((pieces) => fillSegment(pieces, values)).join('/')}`
}

function fillSegment(pieces: readonly Piece[], values: JsonObject): string {
  let encoded = ''
  let label: Label | undefined
  for (const piece of pieces) {
    if ('literal' in piece) {
      encoded += piece.literal.replace(/[^\x21-\x7e]+/gu, encodeURIComponent)
      continue
    }
    label = `path.${piece.parameter}`
    const text = scalarText(own(values, piece.parameter), label)
    if (text === '') throw new OpenApiArgumentError(`${label} must not be empty`)
    encoded += encodeURIComponent(text)
  }
  if (label !== undefined && hasDots(encoded))
    throw new OpenApiArgumentError(`${label} must not be \`.\` or \`..\`, nor have one between slashes`)
  return encoded
}
