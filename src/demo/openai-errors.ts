/**
 * OpenAI's refusals, word for word where we have seen them.
 * https://platform.openai.com/docs/guides/error-codes
 */
import type { z } from 'zod'
import { Refusal } from './answer.ts'
import { type Script, scriptedBody } from './script.ts'
import { firstIssue, valueAt } from './wire-json.ts'

interface Problem {
  readonly message: string
  readonly type?: string
  readonly param?: string | null
  readonly code?: string | null
}

const body = ({ message, type = 'invalid_request_error', param = null, code = null }: Problem) =>
  `${JSON.stringify({ error: { message, type, param, code } }, null, 2)}\n`

export const refuse = (status: number, problem: Problem) => new Refusal(status, body(problem))

export const badRequest = (message: string, param: string | null = null, code: string | null = null) =>
  refuse(400, { message, param, code })

export const modelNotFound = (model: string) =>
  refuse(404, {
    message: `The model \`${model}\` does not exist or you do not have access to it.`,
    code: 'model_not_found',
  })

export const noApiKey = () =>
  refuse(401, {
    message:
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.",
  })

export const wrongApiKey = (key: string) =>
  refuse(401, {
    message: `Incorrect API key provided: ${key.slice(0, 8)}${'*'.repeat(12)}${key.slice(-4)}. You can find your API key at https://platform.openai.com/account/api-keys.`,
    code: 'invalid_api_key',
  })

export const invalidUrl = (method: string, path: string) =>
  refuse(404, { message: `Invalid URL (${method} ${path})` })

export const notJson = () =>
  badRequest(
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)",
  )

const BY_STATUS: Readonly<Record<number, (model: string) => Problem>> = {
  400: () => ({
    message:
      "This model's maximum context length is 128000 tokens. However, your messages resulted in 130011 tokens. Please reduce the length of the messages.",
    param: 'messages',
    code: 'context_length_exceeded',
  }),
  401: () => ({
    message:
      'Incorrect API key provided: sk-proj-************demo. You can find your API key at https://platform.openai.com/account/api-keys.',
    code: 'invalid_api_key',
  }),
  403: () => ({
    message: 'Country, region, or territory not supported',
    type: 'request_forbidden',
    code: 'unsupported_country_region_territory',
  }),
  404: (model) => ({
    message: `The model \`${model}\` does not exist or you do not have access to it.`,
    code: 'model_not_found',
  }),
  429: (model) => ({
    message: `Rate limit reached for ${model} in organization org-simulated on tokens per min (TPM): Limit 200000, Used 199312, Requested 1024. Please try again in 1s. Visit https://platform.openai.com/account/rate-limits to learn more.`,
    type: 'tokens',
    code: 'rate_limit_exceeded',
  }),
  500: () => ({
    message:
      'The server had an error while processing your request. Sorry about that! You can retry your request, or contact us through our help center at help.openai.com if the error persists.',
    type: 'server_error',
  }),
  503: () => ({
    message: 'That model is currently overloaded with other requests. You can retry your request.',
    type: 'server_error',
    code: 'service_unavailable',
  }),
}

/** The error that a script asks for by its status. */
export function scriptedError(status: number, model: string, script: Script): Refusal {
  const problem = BY_STATUS[status]?.(model) ?? {
    message: `Simulated status ${status}.`,
    type: 'server_error',
  }
  const limited = {
    'retry-after': String(script.retryAfterSeconds ?? 1),
    'retry-after-ms': String((script.retryAfterSeconds ?? 1) * 1000),
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': `${script.retryAfterSeconds ?? 1}s`,
  }
  const retry =
    script.retryAfterSeconds === undefined ? {} : { 'retry-after': String(script.retryAfterSeconds) }
  return new Refusal(status, scriptedBody(script) ?? body(problem), status === 429 ? limited : retry)
}

export const midstreamFailure = (requestId: string) => {
  const error = {
    message: `The server had an error processing your request. Sorry about that! You can retry your request, or contact us through our help center at help.openai.com if you keep seeing this error. (Please include the request ID ${requestId} in your email.)`,
    type: 'server_error',
    param: null,
    code: null,
  }
  return `data: ${JSON.stringify({ error })}\n\n`
}

/** `messages[0].content` */
function parameter(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else text += text === '' ? String(key) : `.${String(key)}`
  }
  return text
}

const list = (values: readonly unknown[]) => {
  const quoted = values.map((value) => `'${String(value)}'`)
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')}, and ${quoted.at(-1)}`
}

const A_TYPE: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a decimal',
  int: 'an integer',
  boolean: 'a boolean',
  array: 'an array of objects',
  object: 'an object',
  record: 'an object',
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal'
  return A_TYPE[typeof value] ?? 'an unknown type'
}

/** A schema's complaint in OpenAI's words. `topLevel` differs: the chat API still uses its oldest wording there. */
export function schemaRefusal(
  error: z.core.$ZodError,
  input: unknown,
  topLevel: 'argument' | 'parameter',
): Refusal {
  const issue = firstIssue(error)
  const name = parameter(issue.path)
  const value = valueAt(input, issue.path)
  switch (issue.code) {
    case 'unrecognized_keys':
      if (issue.path.length === 0 && topLevel === 'argument') {
        const plural = issue.keys.length > 1 ? 'arguments' : 'argument'
        return badRequest(`Unrecognized request ${plural} supplied: ${issue.keys.join(', ')}`)
      }
      return unknownParameter(parameter([...issue.path, issue.keys[0] ?? '']))
    case 'invalid_type':
      if (value === undefined) return missingParameter(name)
      return badRequest(
        `Invalid type for '${name}': expected ${A_TYPE[issue.expected] ?? issue.expected}, but got ${typeName(value)} instead.`,
        name,
        'invalid_type',
      )
    case 'invalid_value':
      return badRequest(
        `Invalid value: '${String(value)}'. Supported values are: ${list(issue.values)}.`,
        name,
        'invalid_value',
      )
    case 'too_small':
    case 'too_big':
      return outOfRange(issue, name, value)
    case 'invalid_union':
      if (value === undefined) return missingParameter(name)
      // A union by kind reports the path of the kind and which there are.
      if (issue.discriminator !== undefined && 'options' in issue && Array.isArray(issue.options)) {
        return badRequest(
          `Invalid value: '${String(value)}'. Supported values are: ${list(issue.options)}.`,
          name,
          'invalid_value',
        )
      }
      return badRequest(
        `Invalid type for '${name}': expected one of ${expectations(issue)}, but got ${typeName(value)} instead.`,
        name,
        'invalid_type',
      )
    case 'custom':
      return badRequest(issue.message, name === '' ? null : name)
    default:
      return badRequest(`Invalid '${name}': ${issue.message}`, name, 'invalid_value')
  }
}

function expectations(issue: z.core.$ZodIssueInvalidUnion): string {
  const names = issue.errors.flatMap(([first]) =>
    first?.code === 'invalid_type' ? [(A_TYPE[first.expected] ?? first.expected).replace(/^an? /, '')] : [],
  )
  return `a ${names.join(' or ')}`
}

export const missingParameter = (name: string) =>
  badRequest(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter')

const unknownParameter = (name: string) =>
  badRequest(`Unknown parameter: '${name}'.`, name, 'unknown_parameter')

function outOfRange(
  issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig,
  name: string,
  value: unknown,
): Refusal {
  const small = issue.code === 'too_small'
  const bound = small ? issue.minimum : issue.maximum
  const than = small ? '>=' : '<='
  if (Array.isArray(value) && value.length === 0) {
    return badRequest(
      `Invalid '${name}': empty array. Expected an array with minimum length ${bound}, but got an empty array instead.`,
      name,
      'empty_array',
    )
  }
  if (typeof value !== 'number') {
    const what = Array.isArray(value) ? 'array' : 'string'
    const length = Array.isArray(value) || typeof value === 'string' ? value.length : 0
    return badRequest(
      `Invalid '${name}': ${what} too ${small ? 'short' : 'long'}. Expected ${what === 'array' ? 'an array' : 'a string'} with ${small ? 'minimum' : 'maximum'} length ${bound}, but got ${what === 'array' ? 'an array' : 'a string'} with length ${length} instead.`,
      name,
      `${what}_${small ? 'below_min_length' : 'above_max_length'}`,
    )
  }
  const kind = issue.origin === 'int' || Number.isInteger(value) ? 'integer' : 'decimal'
  return badRequest(
    `Invalid '${name}': ${kind} ${small ? 'below minimum' : 'above maximum'} value. Expected a value ${than} ${bound}, but got ${value} instead.`,
    name,
    `${kind}_${small ? 'below_min' : 'above_max'}_value`,
  )
}
