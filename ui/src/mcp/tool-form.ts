/**
 * A tool's JSON schema as the fields of a form, and the form's texts as the tool's arguments.
 *
 * What a field cannot say (objects, arrays, several types at once) is written as JSON. The server has the last word
 * on validity; checked here is only what would not even be JSON.
 */
import { isObject, type JsonObject, parseJson, read, readList, readText } from '../format/json.ts'

export type FieldKind = 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'json'

export interface Field {
  readonly name: string
  readonly kind: FieldKind
  readonly isRequired: boolean
  readonly description: string
  /** Of a choice: its values as JSON. */
  readonly choices: readonly string[]
  /** What the field begins with: the schema's default. */
  readonly initial: string
}

export type FormValues = Readonly<Record<string, string>>

export type FormResult =
  | { readonly ok: true; readonly arguments: JsonObject }
  | { readonly ok: false; readonly problems: Readonly<Record<string, string>> }

export function fieldsOf(schema: JsonObject): readonly Field[] {
  const required = new Set(readList(schema, 'required'))
  const properties = isObject(schema.properties) ? schema.properties : {}
  return Object.entries(properties).map(([name, property]) => {
    const shape = withoutNull(property)
    const choices = choicesOf(shape)
    const kind = choices.length > 0 ? 'choice' : kindOf(shape)
    return {
      name,
      kind,
      isRequired: required.has(name),
      description: readText(property, 'description') ?? readText(property, 'title') ?? '',
      choices,
      initial: initialOf(kind, read(property, 'default')),
    }
  })
}

/** `anyOf: [X, null]` and `type: [X, 'null']` are how schemas say that X may be left out. */
function withoutNull(property: unknown): unknown {
  for (const word of ['anyOf', 'oneOf']) {
    const rest = readList(property, word).filter((one) => readText(one, 'type') !== 'null')
    if (rest.length === 1) return rest[0]
  }
  return property
}

function choicesOf(property: unknown): readonly string[] {
  if (isObject(property) && Object.hasOwn(property, 'const')) return [JSON.stringify(property.const)]
  return readList(property, 'enum')
    .filter((value) => value !== null)
    .map((value) => JSON.stringify(value))
}

function kindOf(property: unknown): FieldKind {
  const type = read(property, 'type')
  const types = [type].flat().filter((one) => one !== 'null')
  switch (types.length === 1 ? types[0] : undefined) {
    case 'string':
      return 'text'
    case 'number':
      return 'number'
    case 'integer':
      return 'integer'
    case 'boolean':
      return 'boolean'
    default:
      return 'json'
  }
}

function initialOf(kind: FieldKind, value: unknown): string {
  if (value === undefined || value === null) return ''
  if (kind === 'json') return JSON.stringify(value, undefined, 2)
  if (kind === 'choice') return JSON.stringify(value)
  return String(value)
}

export function initialValues(fields: readonly Field[]): FormValues {
  return Object.fromEntries(fields.map(({ name, initial }) => [name, initial]))
}

/** Empty fields are left out; who wants to send an empty text can do so as JSON. */
export function argumentsOf(fields: readonly Field[], values: FormValues): FormResult {
  const found: Record<string, unknown> = {}
  const problems: Record<string, string> = {}
  for (const field of fields) {
    const text = values[field.name] ?? ''
    if (text.trim() === '') {
      if (field.isRequired) problems[field.name] = 'Required.'
      continue
    }
    const value = fieldValue(field.kind, text)
    if (value === undefined) problems[field.name] = PROBLEMS[field.kind]
    else found[field.name] = value
  }
  return Object.keys(problems).length > 0 ? { ok: false, problems } : { ok: true, arguments: found }
}

const PROBLEMS: Readonly<Record<FieldKind, string>> = {
  text: 'Not a text.',
  number: 'Not a number.',
  integer: 'Not a whole number.',
  boolean: 'Neither true nor false.',
  choice: 'Not one of the choices.',
  json: 'Not JSON.',
}

function fieldValue(kind: FieldKind, text: string): unknown {
  switch (kind) {
    case 'text':
      return text
    case 'number':
      return finite(Number(text))
    case 'integer':
      return Number.isInteger(Number(text)) ? Number(text) : undefined
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined
    case 'choice':
    case 'json':
      return parseJson(text)
    default:
      kind satisfies never
      return undefined
  }
}

const finite = (value: number) => (Number.isFinite(value) ? value : undefined)

/** The other way, for a form that is filled from JSON. */
export function valuesFrom(fields: readonly Field[], given: JsonObject): FormValues {
  return Object.fromEntries(fields.map(({ name, kind }) => [name, initialOf(kind, given[name])]))
}
