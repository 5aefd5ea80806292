/**
 * The text of an OpenAPI document as data, within bounds.
 *
 * A document may come from a server that nobody here controls, so all of it is counted before anything looks at it:
 * a few lines of YAML aliases can stand for billions of values, or for a value that contains itself.
 */
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { isObject, type JsonObject } from './json.ts'
import { OpenApiProblem } from './problem.ts'

const MAX_BYTES = 10_000_000
const MAX_VALUES = 2_000_000
const MAX_DEPTH = 250
/** How often one anchor may be used; what the copies amount to is bounded by `MAX_VALUES`. */
const MAX_ALIASES = 1_000

export function readOpenApiDocument(text: string): JsonObject {
  if (Buffer.byteLength(text) > MAX_BYTES)
    throw new OpenApiProblem('#', 'is larger than 10 MB: leave out the operations that nobody needs as tools')
  const root = parse(text.replace(/^\ufeff/, ''))
  checkBounds(root)
  if (!isObject(root))
    throw new OpenApiProblem('#', 'is not an OpenAPI document: the top has to be an object')
  checkVersion(root)
  return root
}

function checkVersion(root: JsonObject): void {
  // Unquoted, `3.0` and `3.1` are numbers in YAML.
  if (/^3(\.|$)/.test(String(root.openapi))) return
  if (root.swagger !== undefined)
    throw new OpenApiProblem('#/swagger', 'Swagger 2.0 is not supported: convert the document to OpenAPI 3')
  throw new OpenApiProblem('#/openapi', 'has to be 3.0.x or 3.1.x')
}

function parse(text: string): unknown {
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text)
    } catch {
      // YAML may begin with a brace, too; if it is neither, its parser says in which line.
    }
  }
  return parseYaml(text)
}

function parseYaml(text: string): unknown {
  const lineCounter = new LineCounter()
  const lineOf = (offset: number) => `line ${Math.max(1, lineCounter.linePos(offset).line)}`
  let document: Document.Parsed
  try {
    // Its own check for unique keys compares each with each: minutes for a large document.
    document = parseDocument(text, {
      lineCounter,
      uniqueKeys: false,
      merge: true,
      prettyErrors: false,
      logLevel: 'error',
    })
  } catch (cause) {
    // The parser is recursive: a document of nothing but brackets overflows its stack.
    if (!(cause instanceof RangeError)) throw cause
    throw new OpenApiProblem('#', 'is nested too deeply', { cause })
  }
  const error = document.errors[0]
  if (error !== undefined) {
    const message =
      error.code === 'MULTIPLE_DOCS' ? 'a second document begins here: keep one' : firstLine(error.message)
    throw new OpenApiProblem(lineOf(error.pos[0]), message, { cause: error })
  }
  checkKeys(document, lineOf)
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch (cause) {
    const message = cause instanceof Error ? firstLine(cause.message) : 'cannot be read'
    throw new OpenApiProblem('#', message, { cause })
  }
}

const firstLine = (text: string) => text.split('\n', 1)[0] ?? ''

function checkKeys(document: Document.Parsed, lineOf: (offset: number) => string): void {
  visit(document, {
    Map(_key, map) {
      const seen = new Set<string>()
      for (const { key } of map.items) {
        const at = () => lineOf((isScalar(key) ? key.range?.[0] : map.range?.[0]) ?? 0)
        if (!isScalar(key)) throw new OpenApiProblem(at(), 'a key has to be text')
        const name = String(key.value)
        if (seen.has(name) && name !== '<<') throw new OpenApiProblem(at(), `\`${name}\` is here twice`)
        seen.add(name)
      }
    },
  })
}

/** Without recursion, because a value from JSON may be deeper than the stack. */
function checkBounds(root: unknown): void {
  const pending: { readonly value: unknown; readonly depth: number }[] = [{ value: root, depth: 0 }]
  let count = 0
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    count += 1
    if (count > MAX_VALUES) throw new OpenApiProblem('#', 'has more than 2,000,000 values')
    const { value, depth } = next
    if (typeof value !== 'object' || value === null) continue
    if (depth >= MAX_DEPTH)
      throw new OpenApiProblem('#', `is nested more than ${MAX_DEPTH} levels deep, or contains itself`)
    for (const item of Object.values(value)) pending.push({ value: item, depth: depth + 1 })
  }
}
