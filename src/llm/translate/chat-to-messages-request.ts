/**
 * A chat completions request as a messages request.
 *
 * Thinking is what shapes this module: Anthropic refuses it beside other sampling parameters, a forced tool or a
 * conversation that stands in the middle of a tool call, and OpenAI's clients send all of these together. The
 * effort is a wish and the rest is the meaning of the request, so where they exclude each other the effort gives
 * way (and is listed as dropped), except for sampling, which gives way to it.
 */
import type { MessageParam, MessagesRequest } from '../wire/anthropic-messages.ts'
import { toolSetup } from './chat-to-messages-tools.ts'
import { conversationAt } from './chat-to-messages-turns.ts'
import { budgetOf, effortAt, LEAST_BUDGET } from './reasoning-effort.ts'
import {
  arrayAt,
  booleanAt,
  type DroppedFields,
  droppedFields,
  fail,
  type Json,
  numberAt,
  objectAt,
  optional,
  stringAt,
  wholeNumberAt,
} from './request-values.ts'
import type { TranslatedRequest } from './translation.ts'

/** Anthropic requires a limit; OpenAI's clients rarely send one. */
const DEFAULT_MAX_TOKENS = 4096

export function toMessagesRequest(chat: Json): TranslatedRequest {
  const dropped = droppedFields()
  // Underscored: read further down; named here so that `rest` holds what nobody reads.
  const {
    model,
    messages,
    tools: _tools,
    tool_choice: _toolChoice,
    parallel_tool_calls: _parallel,
    max_completion_tokens: _limit,
    max_tokens: _olderLimit,
    reasoning_effort: _effort,
    temperature: _temperature,
    top_p: _topP,
    top_k: _topK,
    stop,
    stream,
    stream_options,
    response_format,
    user: _user,
    safety_identifier: _safety,
    ...rest
  } = chat
  dropped.addRest('', rest)
  optional(stream_options, 'stream_options', (value, place) => {
    const { include_usage, ...others } = objectAt(value, place) // honoured by the answer's translation
    optional(include_usage, `${place}.include_usage`, booleanAt)
    dropped.addRest(place, others)
  })

  const { system, turns } = conversationAt(messages, 'messages', dropped)
  const { tools, choice } = toolSetup(chat, dropped)
  const mayThink = choice?.type !== 'any' && choice?.type !== 'tool' && startsTurn(turns)
  const limits = limitsOf(chat, mayThink, dropped)
  const modelName = optional(model, 'model', stringAt)
  const stopSequences = optional(stop, 'stop', stringsAt) ?? []
  const userId = userIdOf(chat, dropped)
  const format = optional(response_format, 'response_format', (value, place) =>
    outputFormat(value, place, dropped),
  )

  const body = {
    ...(modelName !== undefined && { model: modelName }),
    ...limits,
    messages: turns,
    ...(system !== '' && { system }),
    ...samplingOf(chat, limits.thinking !== undefined, dropped),
    ...(stopSequences.length > 0 && { stop_sequences: stopSequences }),
    ...(optional(stream, 'stream', booleanAt) === true && { stream: true }),
    ...(tools.length > 0 && { tools }),
    ...(choice !== undefined && { tool_choice: choice }),
    ...(format !== undefined && { output_config: { format } }),
    ...(userId !== undefined && { metadata: { user_id: userId } }),
  } satisfies MessagesRequest
  return { body, dropped: dropped.list() }
}

/**
 * Whether the model is to begin a new turn. In the middle of one (after tool results, or to continue its own
 * words) thinking would have to carry on from signed thinking blocks, which chat completions cannot hold.
 */
function startsTurn(turns: readonly MessageParam[]): boolean {
  const last = turns.at(-1)
  return last?.role !== 'assistant' && !last?.content.some((block) => block.type === 'tool_result')
}

function limitsOf(
  chat: Json,
  mayThink: boolean,
  dropped: DroppedFields,
): Pick<MessagesRequest, 'max_tokens' | 'thinking'> {
  const newer = optional(chat.max_completion_tokens, 'max_completion_tokens', wholeNumberAt)
  const older = optional(chat.max_tokens, 'max_tokens', wholeNumberAt)
  if (newer !== undefined && older !== undefined) dropped.add('max_tokens')
  const limit = newer ?? older
  const effort = optional(chat.reasoning_effort, 'reasoning_effort', effortAt)
  const budget = effort === undefined ? undefined : budgetOf(effort)

  if (budget === undefined) return { max_tokens: limit ?? DEFAULT_MAX_TOKENS }
  if (!mayThink || (limit !== undefined && limit <= LEAST_BUDGET)) {
    dropped.add('reasoning_effort')
    return { max_tokens: limit ?? DEFAULT_MAX_TOKENS }
  }
  // Thinking is part of what `max_tokens` limits: our own default leaves room for it, a client's limit stands.
  if (limit === undefined) {
    return {
      max_tokens: budget + DEFAULT_MAX_TOKENS,
      thinking: { type: 'enabled', budget_tokens: budget },
    }
  }
  return {
    max_tokens: limit,
    thinking: { type: 'enabled', budget_tokens: Math.min(budget, limit - 1) },
  }
}

/** https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#feature-compatibility */
function samplingOf(
  chat: Json,
  thinking: boolean,
  dropped: DroppedFields,
): Pick<MessagesRequest, 'temperature' | 'top_p' | 'top_k'> {
  const temperature = optional(chat.temperature, 'temperature', numberAt)
  const topP = optional(chat.top_p, 'top_p', numberAt)
  // Not OpenAI's own, but what OpenAI-shaped servers take, and Anthropic has it.
  const topK = optional(chat.top_k, 'top_k', wholeNumberAt)

  const keepTemperature = temperature !== undefined && (!thinking || temperature === 1)
  const keepTopP = topP !== undefined && (!thinking || topP >= 0.95)
  const keepTopK = topK !== undefined && !thinking
  if (temperature !== undefined && !keepTemperature) dropped.add('temperature')
  if (topP !== undefined && !keepTopP) dropped.add('top_p')
  if (topK !== undefined && !keepTopK) dropped.add('top_k')
  return {
    ...(keepTemperature && { temperature }),
    ...(keepTopP && { top_p: topP }),
    ...(keepTopK && { top_k: topK }),
  }
}

/** `safety_identifier` is OpenAI's newer name for `user`. */
function userIdOf(chat: Json, dropped: DroppedFields): string | undefined {
  const newer = optional(chat.safety_identifier, 'safety_identifier', stringAt)
  const older = optional(chat.user, 'user', stringAt)
  if (newer !== undefined && older !== undefined) dropped.add('safety_identifier')
  return older ?? newer
}

function stringsAt(value: unknown, place: string): readonly string[] {
  if (typeof value === 'string') return [value]
  return arrayAt(value, place).map((item, i) => stringAt(item, `${place}[${i}]`))
}

type OutputFormat = NonNullable<MessagesRequest['output_config']>['format']

function outputFormat(value: unknown, place: string, dropped: DroppedFields): OutputFormat | undefined {
  const { type, json_schema, ...rest } = objectAt(value, place)
  dropped.addRest(place, rest)
  switch (type) {
    case 'text':
      return undefined
    case 'json_object':
      // The API wants every object closed (`additionalProperties: false`), so "any object" cannot be said. OpenAI
      // takes this format only where the prompt asks for JSON, and the prompt goes through.
      dropped.add(place)
      return undefined
    case 'json_schema': {
      const { schema, ...others } = objectAt(json_schema, `${place}.json_schema`)
      dropped.addRest(`${place}.json_schema`, others)
      return { type: 'json_schema', schema: objectAt(schema, `${place}.json_schema.schema`) }
    }
    default:
      return fail(`${place}.type`, 'expected text, json_object or json_schema')
  }
}
