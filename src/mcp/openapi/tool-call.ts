/**
 * A tool call as the HTTP request it stands for.
 *
 * The arguments are a model's and may be made up, or planted: nothing that the document does not declare gets out,
 * and whatever does stays inside the place that the document has for it.
 */
import { headerValue } from '../../core/schema.ts'
import { type Label, scalarText } from './argument.ts'
import { isObject, type JsonObject, own } from './json.ts'
import type { Operation } from './operations.ts'
import type { Parameter, ParameterGroup } from './parameters.ts'
import { fillPath } from './path-template.ts'
import { OpenApiArgumentError } from './problem.ts'
import type { RequestBody } from './request-body.ts'

export interface HttpCall {
  readonly method: string
  /** With the query; begins with the server prefix. */
  readonly path: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | null
}

const GROUPS: readonly ParameterGroup[] = ['path', 'query', 'header']

/** Throws an OpenApiArgumentError that names the argument. */
export function httpCall(operation: Operation, args: JsonObject): HttpCall {
  for (const name of Object.keys(args)) {
    if (name !== 'body' && !GROUPS.some((group) => group === name)) throw unknownArgument(operation, name)
  }
  const [path, query, header] = GROUPS.map((group) => groupOf(operation, group, args))
  const declared = (group: ParameterGroup) => operation.parameters.filter((one) => one.group === group)
  const pairs = declared('query').flatMap((parameter) => queryPairs(parameter, query ?? {}))
  const body = bodyOf(operation.body, own(args, 'body'))
  return {
    method: operation.method,
    path: `${operation.prefix}${fillPath(operation.template, path ?? {})}${pairs.length > 0 ? '?' : ''}${pairs.join('&')}`,
    headers: Object.fromEntries([
      ...declared('header').flatMap((parameter) => headerPair(parameter, header ?? {})),
      ['accept', 'application/json'],
      ...(body !== null && operation.body !== undefined
        ? [['content-type', operation.body.contentType]]
        : []),
    ]),
    body,
  }
}

function unknownArgument({ parameters }: Operation, name: string): OpenApiArgumentError {
  const meant = parameters.find((parameter) => parameter.name === name)
  const hint =
    meant === undefined ? 'use path, query, header and body' : `did you mean ${meant.group}.${name}?`
  return new OpenApiArgumentError(`${name} is not an argument of this tool: ${hint}`)
}

function groupOf({ parameters }: Operation, group: ParameterGroup, args: JsonObject): JsonObject {
  const values = own(args, group) ?? {}
  if (!isObject(values)) throw new OpenApiArgumentError(`${group} has to be an object`)
  const declared = parameters.filter((parameter) => parameter.group === group)
  for (const name of Object.keys(values)) {
    if (declared.some((parameter) => parameter.name === name)) continue
    const known = declared.map((parameter) => `${group}.${parameter.name}`).join(', ')
    const hint = known === '' ? `it takes nothing in ${group}` : `it takes ${known}`
    throw new OpenApiArgumentError(`${group}.${name} is not an argument of this tool: ${hint}`)
  }
  for (const { name, required } of declared) {
    const value = own(values, name)
    const isMissing = value === undefined || (value === null && group !== 'query')
    if (required && isMissing) throw new OpenApiArgumentError(`${group}.${name} is required`)
  }
  return values
}

const encodedText = (value: unknown, label: Label) => encodeURIComponent(scalarText(value, label))

function queryPairs({ name, delimiter }: Parameter, values: JsonObject): string[] {
  const value = own(values, name)
  if (value === undefined) return []
  const label = `query.${name}`
  const key = encodedText(name, label)
  const items: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (delimiter !== undefined && Array.isArray(value))
    return items.length > 0 ? [`${key}=${items.map((item) => encodedText(item, label)).join(delimiter)}`] : []
  return items.map((item) => (item === null ? key : `${key}=${encodedText(item, label)}`))
}

/** Models write null for what they leave out; a header has no other use for it. */
function headerPair({ name }: Parameter, values: JsonObject): [string, string][] {
  const value = own(values, name)
  if (value === undefined || value === null) return []
  const label = `header.${name}`
  const items: readonly unknown[] = Array.isArray(value) ? value : [value]
  const text = items.map((item) => scalarText(item, label)).join(',')
  if (!headerValue.safeParse(text).success)
    throw new OpenApiArgumentError(`${label} has to be one line of Latin-1 characters`)
  return [[name.toLowerCase(), text]]
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function bodyOf(body: RequestBody | undefined, value: unknown): Buffer | null {
  if (body === undefined) {
    if (value === undefined || value === null) return null
    throw new OpenApiArgumentError('body is not an argument of this tool: it takes none')
  }
  if (value === undefined) {
    if (body.required) throw new OpenApiArgumentError('body is required')
    return null
  }
  if (value === null && !body.required) return null
  if (body.kind === 'json') return jsonBody(value)
  if (typeof value !== 'string' || !BASE64.test(value))
    throw new OpenApiArgumentError('body has to be a string of base64')
  return Buffer.from(value, 'base64')
}

function jsonBody(value: unknown): Buffer {
  try {
    return Buffer.from(JSON.stringify(value))
  } catch (cause) {
    throw new OpenApiArgumentError('body is nested too deeply', { cause })
  }
}
