/**
 * A Responses request, read once for every provider format.
 *
 * A translation keeps no state, so what continues something that OpenAI stored is refused: answered without it, the
 * client would get an answer to another question.
 */
import type { ReasoningEffort } from '../wire/openai-chat.ts'
import { effortAt } from './reasoning-effort.ts'
import {
  arrayAt,
  booleanAt,
  type DroppedFields,
  fail,
  type Json,
  nameAt,
  numberAt,
  objectAt,
  optional,
  stringAt,
  wholeNumberAt,
} from './request-values.ts'
import { type ConversationItem, conversationAt } from './responses-input.ts'
import { type ToolSetup, toolSetup } from './responses-tools.ts'

export interface JsonSchemaFormat {
  readonly name: string
  readonly schema: Json
  readonly description: string | undefined
  readonly strict: boolean | undefined
}

export interface ReadRequest {
  readonly model: string | undefined
  readonly stream: boolean
  readonly instructions: string | undefined
  readonly items: readonly ConversationItem[]
  readonly toolSetup: ToolSetup
  readonly maxOutputTokens: number | undefined
  readonly temperature: number | undefined
  readonly topP: number | undefined
  readonly effort: ReasoningEffort | undefined
  readonly format: 'json_object' | JsonSchemaFormat | undefined
  readonly verbosity: string | undefined
  readonly user: string | undefined
  readonly safetyIdentifier: string | undefined
  readonly topLogprobs: number | undefined
  readonly wantsLogprobs: boolean
  /** Fields that chat completions knows by the same name. */
  readonly shared: Json
}

export function readResponsesRequest(request: Json, dropped: DroppedFields): ReadRequest {
  refuseState(request)
  const {
    model,
    stream,
    instructions,
    input,
    max_output_tokens,
    temperature,
    top_p,
    reasoning,
    text,
    user,
    safety_identifier,
    top_logprobs,
    include,
    store,
    background,
    truncation,
    service_tier,
    prompt_cache_key,
    prompt_cache_retention,
    tools: _tools,
    tool_choice: _toolChoice,
    parallel_tool_calls: _parallel,
    previous_response_id: _previous,
    conversation: _conversation,
    prompt: _prompt,
    ...rest
  } = request
  dropped.addRest('', rest)
  dropDefaults({ store, background, truncation }, dropped)
  const included = optional(include, 'include', arrayAt) ?? []
  const wantsLogprobs = included.includes('message.output_text.logprobs')
  if (included.length > (wantsLogprobs ? 1 : 0)) dropped.add('include')

  return {
    model: optional(model, 'model', stringAt),
    stream: optional(stream, 'stream', booleanAt) ?? false,
    instructions: optional(instructions, 'instructions', stringAt),
    items: conversationAt(input, 'input', dropped),
    toolSetup: toolSetup(request, dropped),
    maxOutputTokens: optional(max_output_tokens, 'max_output_tokens', wholeNumberAt),
    temperature: optional(temperature, 'temperature', numberAt),
    topP: optional(top_p, 'top_p', numberAt),
    effort: optional(reasoning, 'reasoning', (value, place) => effortOf(value, place, dropped)),
    ...textOptions(text, dropped),
    user: optional(user, 'user', stringAt),
    safetyIdentifier: optional(safety_identifier, 'safety_identifier', stringAt),
    topLogprobs: optional(top_logprobs, 'top_logprobs', wholeNumberAt),
    wantsLogprobs,
    shared: { service_tier, prompt_cache_key, prompt_cache_retention },
  }
}

function refuseState(request: Json): void {
  for (const key of ['previous_response_id', 'conversation']) {
    if (request[key] !== undefined && request[key] !== null) {
      fail(
        key,
        'the gateway stores no responses for this provider: send the whole conversation in input (`store: false`)',
      )
    }
  }
  if (request.prompt !== undefined && request.prompt !== null) {
    fail('prompt', 'a prompt stored at OpenAI is unknown to the provider: send instructions and input')
  }
}

/** What these fields ask for by default is what happens anyway. */
const DEFAULTS: Json = { store: false, background: false, truncation: 'disabled' }

function dropDefaults(fields: Json, dropped: DroppedFields): void {
  for (const [key, value] of Object.entries(fields)) {
    if (value !== DEFAULTS[key]) dropped.addRest('', { [key]: value })
  }
}

function effortOf(value: unknown, place: string, dropped: DroppedFields): ReasoningEffort | undefined {
  const { effort, ...rest } = objectAt(value, place)
  dropped.addRest(place, rest)
  return optional(effort, `${place}.effort`, effortAt)
}

function textOptions(value: unknown, dropped: DroppedFields): Pick<ReadRequest, 'format' | 'verbosity'> {
  const text = optional(value, 'text', objectAt)
  if (text === undefined) return { format: undefined, verbosity: undefined }
  const { format, verbosity, ...rest } = text
  dropped.addRest('text', rest)
  return {
    format: optional(format, 'text.format', (found, place) => formatAt(found, place, dropped)),
    verbosity: optional(verbosity, 'text.verbosity', stringAt),
  }
}

function formatAt(value: unknown, place: string, dropped: DroppedFields): ReadRequest['format'] {
  const { type, ...format } = objectAt(value, place)
  switch (type) {
    case 'text':
      return undefined
    case 'json_object':
      return 'json_object'
    case 'json_schema': {
      const { name, schema, description, strict, ...rest } = format
      dropped.addRest(place, rest)
      return {
        name: nameAt(name, `${place}.name`),
        schema: objectAt(schema, `${place}.schema`),
        description: optional(description, `${place}.description`, stringAt),
        strict: optional(strict, `${place}.strict`, booleanAt),
      }
    }
    default:
      return fail(`${place}.type`, 'expected text, json_object or json_schema')
  }
}
