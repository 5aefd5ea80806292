/**
 * Anthropic's refusals, word for word where we have seen them.
 * https://docs.claude.com/en/api/errors
 */
import type { z } from 'zod'
import { Refusal } from './answer.ts'
import { type Script, scriptedBody } from './script.ts'
import { firstIssue, isJson, valueAt } from './wire-json.ts'

const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  503: 'api_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

const MESSAGES: Readonly<Record<number, (model: string) => string>> = {
  400: () => 'prompt is too long: 203456 tokens > 200000 maximum',
  401: () => 'invalid x-api-key',
  402: () => 'Your credit balance is too low to access the Anthropic API.',
  403: () => 'Your API key does not have permission to use the specified resource.',
  404: (model) => `model: ${model}`,
  413: () => 'Request exceeds the maximum size',
  429: () =>
    "This request would exceed your organization's rate limit of 50,000 input tokens per minute. For details, refer to: https://docs.claude.com/en/api/rate-limits.",
  500: () => 'Internal server error',
  503: () => 'Service unavailable',
  504: () => 'Request timed out',
  529: () => 'Overloaded',
}

/** The request id is filled in by whoever sends the refusal. */
export const REQUEST_ID = '{{request_id}}'

const body = (status: number, message: string) =>
  JSON.stringify({
    type: 'error',
    error: { type: TYPES[status] ?? 'api_error', message },
    request_id: REQUEST_ID,
  })

export const refuse = (status: number, message: string) => new Refusal(status, body(status, message))
export const badRequest = (message: string) => refuse(400, message)

export function scriptedError(status: number, model: string, script: Script): Refusal {
  const message = MESSAGES[status]?.(model) ?? `Simulated status ${status}`
  const seconds = script.retryAfterSeconds ?? (status === 429 ? 1 : undefined)
  const headers = {
    'x-should-retry': status === 429 || status >= 500 ? 'true' : 'false',
    ...(seconds !== undefined && { 'retry-after': String(seconds) }),
    ...(status === 429 && { 'anthropic-ratelimit-input-tokens-remaining': '0' }),
  }
  return new Refusal(status, scriptedBody(script) ?? body(status, message), headers)
}

export const midstreamFailure = (requestId: string) => {
  const error = { details: null, type: 'overloaded_error', message: 'Overloaded' }
  return `event: error\ndata: ${JSON.stringify({ type: 'error', error, request_id: requestId })}\n\n`
}

/** `messages.0.content.1.tool_result.content`: where a value is one of several kinds, the kind is a step of the path. */
function location(input: unknown, path: readonly PropertyKey[]): string {
  const steps: string[] = []
  let value = input
  for (const [index, key] of path.entries()) {
    steps.push(String(key))
    value = valueAt(value, [key])
    if (typeof key !== 'number' || index === path.length - 1 || !isJson(value)) continue
    if (path[index - 1] === 'tools') steps.push(typeof value.type === 'string' ? value.type : 'custom')
    else if (typeof value.type === 'string') steps.push(value.type)
  }
  if (path[0] === 'thinking' && path.length > 1 && isJson(input) && isJson(input.thinking)) {
    steps.splice(1, 0, String(input.thinking.type))
  }
  return steps.join('.')
}

const A_TYPE: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  int: 'integer',
  boolean: 'boolean',
  array: 'list',
  object: 'dictionary',
  record: 'dictionary',
}

const quoted = (values: readonly unknown[], last: string) => {
  const all = values.map((value) => `'${String(value)}'`)
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')}${last}${all.at(-1)}`
}

/** A schema's complaint in Anthropic's words, which are Pydantic's. */
export function schemaRefusal(error: z.core.$ZodError, input: unknown): Refusal {
  const issue = firstIssue(error)
  const at = location(input, issue.path)
  const value = valueAt(input, issue.path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return badRequest(
        `${location(input, [...issue.path, issue.keys[0] ?? ''])}: Extra inputs are not permitted`,
      )
    case 'invalid_type':
      if (value === undefined) return badRequest(`${at}: Field required`)
      return badRequest(`${at}: Input should be a valid ${A_TYPE[issue.expected] ?? issue.expected}`)
    case 'invalid_value': {
      if (value === undefined) return badRequest(`${at}: Field required`)
      return badRequest(`${at}: Input should be ${quoted(issue.values, ' or ')}`)
    }
    case 'invalid_union':
      return unionRefusal(issue, input, at, value)
    case 'too_small':
      return badRequest(
        typeof value === 'number'
          ? `${at}: Input should be greater than or equal to ${issue.minimum}`
          : `${at}: ${Array.isArray(value) ? 'List' : 'String'} should have at least ${issue.minimum} ${Array.isArray(value) ? 'item' : 'character'}`,
      )
    case 'too_big':
      return badRequest(
        typeof value === 'number'
          ? `${at}: Input should be less than or equal to ${issue.maximum}`
          : `${at}: String should have at most ${issue.maximum} characters`,
      )
    case 'invalid_format':
      if (issue.path[0] === 'tools' && issue.path.at(-1) === 'type') {
        return badRequest(
          `${location(input, issue.path.slice(0, -1))}: Input tag '${String(value)}' found using 'type' does not match any of the expected tags: 'bash_20250124', 'code_execution_20250825', 'custom', 'text_editor_20250728', 'web_search_20250305'`,
        )
      }
      return badRequest(`${at}: String should match pattern '${String(issue.pattern ?? '').slice(1, -1)}'`)
    case 'custom':
      return badRequest(at === '' ? issue.message : `${at}: ${issue.message}`)
    default:
      return badRequest(`${at}: ${issue.message}`)
  }
}

function unionRefusal(
  issue: z.core.$ZodIssueInvalidUnion,
  input: unknown,
  at: string,
  value: unknown,
): Refusal {
  if (value === undefined) return badRequest(`${at}: Field required`)
  // A union by kind reports the path of the kind and which there are.
  const options = 'options' in issue && Array.isArray(issue.options) ? issue.options : undefined
  if (issue.discriminator === undefined || options === undefined) {
    return badRequest(`${at}: Input should be a valid ${expectations(issue)}`)
  }
  const of = location(input, issue.path.slice(0, -1))
  return badRequest(
    `${of}: Input tag '${String(value)}' found using '${issue.discriminator}' does not match any of the expected tags: ${quoted(options, ', ')}`,
  )
}

function expectations(issue: z.core.$ZodIssueInvalidUnion): string {
  const names = issue.errors.flatMap(([first]) =>
    first?.code === 'invalid_type' ? [A_TYPE[first.expected] ?? first.expected] : [],
  )
  return names.join(' or ')
}
