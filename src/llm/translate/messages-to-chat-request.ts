/** A messages request as a chat completions request. */
import type { ChatRequest, ChatTool, ChatToolChoice, ReasoningEffort } from '../wire/openai-chat.ts'
import { refuseContinuedThread } from './messages-thread.ts'
import { chatMessages } from './messages-to-chat-conversation.ts'
import { effortAt, effortOfBudget } from './reasoning-effort.ts'
import {
  arrayAt,
  booleanAt,
  type DroppedFields,
  droppedFields,
  fail,
  type Json,
  nameAt,
  numberAt,
  objectAt,
  optional,
  stringAt,
  wholeNumberAt,
} from './request-values.ts'
import type { TranslatedRequest } from './translation.ts'

export function toChatRequest(request: Json): TranslatedRequest {
  const dropped = droppedFields()
  // Underscored: read further down; named here so that `rest` holds what nobody reads.
  const {
    model,
    max_tokens,
    messages: _messages,
    system: _system,
    temperature,
    top_p,
    stop_sequences,
    stream,
    tools,
    tool_choice,
    thinking: _thinking,
    output_config,
    metadata,
    ...rest
  } = request
  dropped.addRest('', rest)
  refuseContinuedThread(request)

  const modelName = optional(model, 'model', stringAt)
  const limit = optional(max_tokens, 'max_tokens', wholeNumberAt)
  const warmth = optional(temperature, 'temperature', numberAt)
  const topP = optional(top_p, 'top_p', numberAt)
  const stop = optional(stop_sequences, 'stop_sequences', stringsAt) ?? []
  const streaming = optional(stream, 'stream', booleanAt)
  const functions = optional(tools, 'tools', (value, place) => functionTools(value, place, dropped)) ?? []
  const choice = optional(tool_choice, 'tool_choice', (value, place) => chosen(value, place, dropped))
  if (choice !== undefined && functions.length === 0) dropped.add('tool_choice')
  const output = optional(output_config, 'output_config', (value, place) =>
    outputConfig(value, place, dropped),
  )
  const effort = reasoningEffort(request, output?.effort, dropped)
  const user = optional(metadata, 'metadata', (value, place) => userId(value, place, dropped))

  const body = {
    ...(modelName !== undefined && { model: modelName }),
    messages: chatMessages(request, dropped),
    ...(limit !== undefined && { max_completion_tokens: limit }),
    ...(warmth !== undefined && { temperature: warmth }),
    ...(topP !== undefined && { top_p: topP }),
    ...(stop.length > 0 && { stop }),
    ...(streaming !== undefined && { stream: streaming }),
    ...(streaming === true && { stream_options: { include_usage: true } }),
    ...(functions.length > 0 && { tools: functions, ...choice }),
    ...(effort !== undefined && { reasoning_effort: effort }),
    ...(output?.schema !== undefined && {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'structured_output', schema: output.schema },
      },
    }),
    ...(user !== undefined && { user }),
  } satisfies ChatRequest
  return { body, dropped: dropped.list() }
}

function stringsAt(value: unknown, place: string): readonly string[] {
  return arrayAt(value, place).map((item, i) => stringAt(item, `${place}[${i}]`))
}

/** Tools with a type of their own are run or described by Anthropic: nobody else knows them. */
function functionTools(value: unknown, place: string, dropped: DroppedFields): ChatTool[] {
  return arrayAt(value, place).flatMap((item, i) => {
    const here = `${place}[${i}]`
    const { type, name, description, input_schema, ...rest } = objectAt(item, here)
    const kind = optional(type, `${here}.type`, stringAt) ?? 'custom'
    if (kind !== 'custom') {
      dropped.add(`${here}.${kind}`)
      return []
    }
    dropped.addRest(here, rest)
    const text = optional(description, `${here}.description`, stringAt)
    return [
      {
        type: 'function',
        function: {
          name: nameAt(name, `${here}.name`),
          ...(text !== undefined && { description: text }),
          parameters: objectAt(input_schema, `${here}.input_schema`),
        },
      },
    ]
  })
}

function chosen(
  value: unknown,
  place: string,
  dropped: DroppedFields,
): Pick<ChatRequest, 'tool_choice' | 'parallel_tool_calls'> {
  const { type, name, disable_parallel_tool_use, ...rest } = objectAt(value, place)
  dropped.addRest(place, rest)
  const alone = optional(disable_parallel_tool_use, `${place}.disable_parallel_tool_use`, booleanAt)
  return {
    tool_choice: toolChoice(type, name, place),
    ...(alone !== undefined && { parallel_tool_calls: !alone }),
  }
}

function toolChoice(type: unknown, name: unknown, place: string): ChatToolChoice {
  switch (type) {
    case 'auto':
    case 'none':
      return type
    case 'any':
      return 'required'
    case 'tool':
      return { type: 'function', function: { name: nameAt(name, `${place}.name`) } }
    default:
      return fail(`${place}.type`, 'expected auto, any, tool or none')
  }
}

/** What the client says outright wins over what its thinking implies. */
function reasoningEffort(
  request: Json,
  stated: ReasoningEffort | undefined,
  dropped: DroppedFields,
): ReasoningEffort | undefined {
  if (request.thinking === undefined || request.thinking === null) return stated
  const { type, budget_tokens, ...rest } = objectAt(request.thinking, 'thinking')
  dropped.addRest('thinking', rest)
  const budget = optional(budget_tokens, 'thinking.budget_tokens', wholeNumberAt)
  switch (type) {
    case 'enabled':
      if (stated !== undefined && budget !== undefined) dropped.add('thinking.budget_tokens')
      return stated ?? effortOfBudget(budget ?? fail('thinking.budget_tokens', 'expected a whole number'))
    case 'adaptive':
    case 'between_tools':
      return stated ?? 'high'
    case 'disabled':
      // Most of OpenAI's reasoning models cannot be told not to reason, and refuse to be asked.
      dropped.add('thinking')
      return stated
    default:
      return fail('thinking.type', 'expected enabled, adaptive, between_tools or disabled')
  }
}

interface OutputConfig {
  readonly effort: ReasoningEffort | undefined
  readonly schema: Json | undefined
}

function outputConfig(value: unknown, place: string, dropped: DroppedFields): OutputConfig {
  const { effort, format, ...rest } = objectAt(value, place)
  dropped.addRest(place, rest)
  return {
    effort: optional(effort, `${place}.effort`, effortAt),
    schema: optional(format, `${place}.format`, (given, here) => {
      const { type, schema, ...others } = objectAt(given, here)
      if (type !== 'json_schema') return fail(`${here}.type`, 'expected json_schema')
      dropped.addRest(here, others)
      return objectAt(schema, `${here}.schema`)
    }),
  }
}

function userId(value: unknown, place: string, dropped: DroppedFields): string | undefined {
  const { user_id, ...rest } = objectAt(value, place)
  dropped.addRest(place, rest)
  return optional(user_id, `${place}.user_id`, stringAt)
}
