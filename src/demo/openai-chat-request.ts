/**
 * The chat completions request as OpenAI accepts it; anything else is refused in OpenAI's words.
 * https://platform.openai.com/docs/api-reference/chat/create
 */
import { z } from 'zod'
import { badRequest, schemaRefusal } from './openai-errors.ts'

const breakpoint = z.looseObject({ mode: z.literal('explicit') }).optional()
const text = z.strictObject({
  type: z.literal('text'),
  text: z.string(),
  prompt_cache_breakpoint: breakpoint,
})
const refusal = z.strictObject({ type: z.literal('refusal'), refusal: z.string() })
const userPart = z.discriminatedUnion('type', [
  text,
  z.strictObject({
    type: z.literal('image_url'),
    image_url: z.strictObject({
      url: z.string(),
      detail: z.enum(['auto', 'low', 'high', 'original']).optional(),
    }),
    prompt_cache_breakpoint: breakpoint,
  }),
  z.strictObject({
    type: z.literal('input_audio'),
    input_audio: z.strictObject({ data: z.string(), format: z.enum(['wav', 'mp3']) }),
    prompt_cache_breakpoint: breakpoint,
  }),
  z.strictObject({
    type: z.literal('file'),
    file: z.strictObject({
      file_data: z.string().optional(),
      file_id: z.string().optional(),
      filename: z.string().optional(),
    }),
    prompt_cache_breakpoint: breakpoint,
  }),
])
const textContent = z.union([z.string(), z.array(text).min(1)])

const toolCall = z.discriminatedUnion('type', [
  z.strictObject({
    id: z.string().max(64),
    type: z.literal('function'),
    function: z.strictObject({ name: z.string().max(64), arguments: z.string() }),
  }),
  z.strictObject({
    id: z.string(),
    type: z.literal('custom'),
    custom: z.strictObject({ name: z.string(), input: z.string() }),
  }),
])

const name = z.string().optional()
const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: textContent, name }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.union([z.string(), z.array(z.discriminatedUnion('type', [text, refusal])).min(1)]).nullish(),
    name,
    refusal: z.string().nullish(),
    audio: z.looseObject({ id: z.string() }).nullish(),
    function_call: z.strictObject({ name: z.string(), arguments: z.string() }).nullish(),
    tool_calls: z.array(toolCall).min(1).optional(),
    // In OpenAI's own answers; its API takes them back.
    annotations: z.array(z.unknown()).nullish(),
  }),
  z.strictObject({ role: z.literal('user'), content: z.union([z.string(), z.array(userPart).min(1)]), name }),
  z.strictObject({ role: z.literal('function'), content: z.string().nullable(), name: z.string() }),
  z.strictObject({ role: z.literal('tool'), content: textContent, tool_call_id: z.string() }),
  z.strictObject({ role: z.literal('developer'), content: textContent, name }),
])

export const functionName = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/)
const definition = z.strictObject({
  name: functionName,
  description: z.string().optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
  strict: z.boolean().nullish(),
})
const tool = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('function'), function: definition }),
  z.strictObject({ type: z.literal('custom'), custom: z.looseObject({ name: functionName }) }),
])
const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: z.string() }) }),
    z.strictObject({ type: z.literal('custom'), custom: z.strictObject({ name: z.string() }) }),
    z.looseObject({ type: z.literal('allowed_tools') }),
  ]),
])
const responseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: functionName,
      description: z.string().optional(),
      schema: z.record(z.string(), z.unknown()).optional(),
      strict: z.boolean().nullish(),
    }),
  }),
])

export const reasoningEffort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
export const serviceTier = z.enum(['auto', 'default', 'flex', 'scale', 'priority', 'fast'])
export const metadata = z.record(z.string().max(64), z.string().max(512))
const penalty = z.number().min(-2).max(2).nullish()

const chatRequest = z.strictObject({
  model: z.string(),
  messages: z.array(message).min(1),
  audio: z.looseObject({}).nullish(),
  frequency_penalty: penalty,
  function_call: z.unknown().optional(),
  functions: z.array(definition).optional(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
  logprobs: z.boolean().nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  max_tokens: z.int().min(1).nullish(),
  metadata: metadata.nullish(),
  modalities: z.array(z.enum(['text', 'audio'])).nullish(),
  moderation: z.looseObject({}).nullish(),
  n: z.int().min(1).max(128).nullish(),
  parallel_tool_calls: z.boolean().optional(),
  prediction: z.looseObject({}).nullish(),
  presence_penalty: penalty,
  prompt_cache_key: z.string().nullish(),
  prompt_cache_options: z.looseObject({}).optional(),
  prompt_cache_retention: z.enum(['in_memory', '24h']).nullish(),
  reasoning_effort: reasoningEffort.nullish(),
  response_format: responseFormat.optional(),
  safety_identifier: z.string().nullish(),
  seed: z.int().nullish(),
  service_tier: serviceTier.nullish(),
  stop: z.union([z.string(), z.array(z.string()).min(1).max(4)]).nullish(),
  store: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() })
    .nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  tool_choice: toolChoice.optional(),
  tools: z.array(tool).min(1).max(128).optional(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  user: z.string().optional(),
  verbosity: z.enum(['low', 'medium', 'high']).nullish(),
  web_search_options: z.looseObject({}).optional(),
})

export type ChatRequest = z.output<typeof chatRequest>
export type ChatMessage = ChatRequest['messages'][number]

export function parseChatRequest(body: unknown): ChatRequest {
  const parsed = chatRequest.safeParse(body, { reportInput: true })
  if (!parsed.success) throw schemaRefusal(parsed.error, body, 'argument')
  checkToolTurns(parsed.data.messages)
  checkCombinations(parsed.data)
  checkModelSupport(parsed.data)
  return parsed.data
}

/** A tool's message answers a call of the assistant's turn before it, and every call of that turn is answered. */
function checkToolTurns(messages: readonly ChatMessage[]) {
  let open = new Set<string>()
  let answered = new Set<string>()
  for (const [index, message] of messages.entries()) {
    if (message.role === 'tool') {
      const id = message.tool_call_id
      if (open.size === 0 && answered.size === 0) {
        throw badRequest(
          "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
          `messages.[${index}].role`,
        )
      }
      if (!open.has(id)) {
        throw badRequest(
          `Invalid parameter: 'tool_call_id' of '${id}' not found in 'tool_calls' of previous message.`,
          `messages.[${index}].tool_call_id`,
        )
      }
      open.delete(id)
      answered.add(id)
      continue
    }
    if (open.size > 0) throw unanswered(open, `messages.[${index}].role`)
    const calls = message.role === 'assistant' ? (message.tool_calls ?? []) : []
    open = new Set(calls.map((call) => call.id))
    answered = new Set()
    if (message.role === 'assistant') checkAssistant(message, index)
  }
  if (open.size > 0) throw unanswered(open, 'messages')
}

function checkAssistant(message: ChatMessage & { role: 'assistant' }, index: number) {
  const { content, tool_calls, function_call, refusal, audio } = message
  if (content == null && !tool_calls && !function_call && refusal == null && !audio) {
    throw badRequest(
      `Invalid value for 'content': expected a string, got null.`,
      `messages.[${index}].content`,
    )
  }
}

const unanswered = (ids: ReadonlySet<string>, param: string) =>
  badRequest(
    `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...ids].join(', ')}`,
    param,
  )

function checkCombinations(request: ChatRequest) {
  if (request.stream_options != null && request.stream !== true) {
    throw badRequest(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    )
  }
  if (request.tools === undefined) {
    if (request.tool_choice !== undefined) {
      throw badRequest(
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        'tool_choice',
      )
    }
    if (request.parallel_tool_calls !== undefined) {
      throw badRequest(
        "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
        'parallel_tool_calls',
      )
    }
  }
  checkNamedTool(request)
  if (request.top_logprobs != null && request.logprobs !== true) {
    throw badRequest(
      "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
      'top_logprobs',
    )
  }
  if (request.max_tokens != null && request.max_completion_tokens != null) {
    throw badRequest(
      "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
      'max_tokens',
      'invalid_parameter_combination',
    )
  }
  checkResponseFormat(request)
}

function checkNamedTool({ tool_choice: choice, tools = [] }: ChatRequest) {
  if (typeof choice !== 'object' || choice.type !== 'function') return
  const { name } = choice.function
  if (tools.some((tool) => tool.type === 'function' && tool.function.name === name)) return
  throw badRequest(`Tool choice '${name}' not found in 'tools' parameter.`, 'tool_choice')
}

function checkResponseFormat({ response_format: format, messages }: ChatRequest) {
  if (format?.type === 'json_object' && !/json/i.test(JSON.stringify(messages))) {
    throw badRequest(
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
      'messages',
    )
  }
  if (format?.type !== 'json_schema') return
  const { name, schema, strict } = format.json_schema
  if (schema === undefined) {
    throw badRequest(
      "Missing required parameter: 'response_format.json_schema.schema'.",
      'response_format.json_schema.schema',
      'missing_required_parameter',
    )
  }
  if (strict === true && schema.type === 'object' && schema.additionalProperties !== false) {
    throw badRequest(
      `Invalid schema for response_format '${name}': In context=(), 'additionalProperties' is required to be supplied and to be false.`,
      'response_format',
    )
  }
}

const REASONING_MODEL = /^(o\d|gpt-[5-9])/

function checkModelSupport(request: ChatRequest) {
  const { model, max_tokens, temperature, top_p, reasoning_effort } = request
  if (REASONING_MODEL.test(model)) {
    if (max_tokens != null) {
      throw badRequest(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        'max_tokens',
        'unsupported_parameter',
      )
    }
    for (const [name, value] of Object.entries({ temperature, top_p })) {
      if (value == null || value === 1) continue
      throw badRequest(
        `Unsupported value: '${name}' does not support ${value} with this model. Only the default (1) value is supported.`,
        name,
        'unsupported_value',
      )
    }
  } else if (reasoning_effort != null && /^gpt-[34]/.test(model)) {
    throw badRequest('Unrecognized request argument supplied: reasoning_effort')
  }
}
