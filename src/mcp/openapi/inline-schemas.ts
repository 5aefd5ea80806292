/**
 * Schemas of a tool without references into the document.
 *
 * References are inlined, because models and many clients read a plain tree best. Where that has no end, a schema
 * within itself refers to the tool's own `$defs`; where the tree would be huge, every reference does, so that a
 * schema appears once however often it is used.
 */
import { isObject, type JsonObject, weightOf } from './json.ts'
import { OpenApiProblem, under } from './problem.ts'
import { follow, lookUp, referenceOf, type Spot } from './references.ts'
import { ANNOTATIONS, isDropped, SCHEMA_MAPS, SCHEMAS, toJsonSchema } from './schema-keywords.ts'

/** Characters of JSON: some 5,000 tokens. */
const MAX_INLINED = 20_000
/** Schemas within schemas, references counted: no more than the stack holds. */
const MAX_INLINED_DEPTH = 150

export type Inline = (schema: Spot) => unknown

/** One go at a tool's schemas. */
interface Pass {
  readonly root: JsonObject
  /** Every reference becomes one to `$defs`. */
  readonly keepsReferences: boolean
  /** References of the document and their names in `$defs`. */
  readonly definitions: Map<string, string>
  readonly names: Set<string>
  /** What the references lead to. */
  readonly targets: Map<string, Spot>
  /** Characters of JSON so far, roughly. */
  weight: number
  depth: number
}

const newPass = (root: JsonObject, keepsReferences: boolean): Pass => ({
  root,
  keepsReferences,
  definitions: new Map(),
  names: new Set(),
  targets: new Map(),
  weight: 0,
  depth: 0,
})

/** `assemble` may be called twice. */
export function withoutReferences(root: JsonObject, assemble: (inline: Inline) => JsonObject): JsonObject {
  const inlining = newPass(root, false)
  const schema = run(inlining, assemble)
  return isTooLarge(inlining) ? run(newPass(root, true), assemble) : schema
}

const isTooLarge = (pass: Pass) => !pass.keepsReferences && pass.weight > MAX_INLINED

function run(pass: Pass, assemble: (inline: Inline) => JsonObject): JsonObject {
  const schema = assemble((spot) => schemaAt(pass, spot, []))
  const definitions: [string, unknown][] = []
  // Definitions may use more of them: a Map gives those added on the way their turn.
  for (const [reference, name] of pass.definitions) {
    definitions.push([name, schemaAt(pass, targetOf(pass, reference, reference), [reference])])
  }
  return definitions.length === 0 ? schema : { ...schema, $defs: Object.fromEntries(definitions) }
}

/** `open`: the references that this schema is inlined for. */
function schemaAt(pass: Pass, spot: Spot, open: readonly string[]): unknown {
  pass.weight += pass.depth < MAX_INLINED_DEPTH ? 2 : MAX_INLINED
  if (isTooLarge(pass)) return {}
  const { value, place } = spot
  // `items:` with nothing behind it: anything.
  if (value === null || value === undefined) return {}
  if (typeof value === 'boolean') return value
  if (!isObject(value)) throw new OpenApiProblem(place, 'a schema has to be an object')
  if ('$dynamicRef' in value || '$recursiveRef' in value)
    throw new OpenApiProblem(place, 'dynamic references are not supported: use `$ref`')
  pass.depth += 1
  const reference = referenceOf(value, place)
  const schema =
    reference === undefined
      ? toJsonSchema(keywordsAt(pass, { value, place }, open))
      : referenceAt(pass, { reference, value, place }, open)
  pass.depth -= 1
  return schema
}

interface ObjectSpot extends Spot {
  readonly value: JsonObject
}

function keywordsAt(pass: Pass, { value, place }: ObjectSpot, open: readonly string[]): JsonObject {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([keyword]) => !isDropped(keyword))
      .map(([keyword, item]) => {
        pass.weight += keyword.length + 4
        return [keyword, keywordAt(keyword, { value: item, place: under(place, keyword) })]
      }),
  )

  function keywordAt(keyword: string, spot: Spot): unknown {
    const schema = (item: unknown, key: PropertyKey) =>
      schemaAt(pass, { value: item, place: under(spot.place, key) }, open)
    if (SCHEMA_MAPS.has(keyword) && isObject(spot.value)) {
      pass.weight += Object.keys(spot.value).reduce((sum, name) => sum + name.length + 4, 0)
      return Object.fromEntries(Object.entries(spot.value).map(([name, item]) => [name, schema(item, name)]))
    }
    if (SCHEMAS.has(keyword))
      return Array.isArray(spot.value) ? spot.value.map(schema) : schemaAt(pass, spot, open)
    pass.weight += weightOf(spot.value)
    return spot.value
  }
}

interface Use extends ObjectSpot {
  readonly reference: string
}

function referenceAt(pass: Pass, { reference, value, place }: Use, open: readonly string[]): unknown {
  const target = targetOf(pass, reference, place)
  const { $ref: _, ...beside } = value
  const added = keywordsAt(pass, { value: beside, place }, open)
  if (pass.keepsReferences || open.includes(reference)) {
    return { $ref: `#/$defs/${definitionName(pass, reference)}`, ...toJsonSchema(added) }
  }
  return merged(schemaAt(pass, target, [...open, reference]), added)
}

function targetOf({ root, targets }: Pass, reference: string, place: string): Spot {
  const known = targets.get(reference)
  if (known !== undefined) return known
  const target = lookUp(root, reference, place)
  // A chain without an end is an error; the links of others are inlined one by one.
  follow(root, target)
  targets.set(reference, target)
  return target
}

function definitionName({ definitions, names }: Pass, reference: string): string {
  const known = definitions.get(reference)
  if (known !== undefined) return known
  // The name stands in a reference itself: nothing that would have to be escaped there.
  const wanted = reference.slice(reference.lastIndexOf('/') + 1).replace(/[^A-Za-z0-9._-]/g, '_')
  let name = wanted
  for (let number = names.size + 1; names.has(name); number += 1) name = `${wanted}_${number}`
  names.add(name)
  definitions.set(reference, name)
  return name
}

function merged(target: unknown, added: JsonObject): unknown {
  const keywords = Object.keys(added)
  if (keywords.length === 0) return target
  if (isObject(target) && keywords.every((keyword) => ANNOTATIONS.has(keyword)))
    return { ...target, ...toJsonSchema(added) }
  const allOf = Array.isArray(added.allOf) ? added.allOf : []
  return { ...toJsonSchema(added), allOf: [target, ...allOf] }
}
