/**
 * A messages request as a Responses request.
 *
 * `store` is always false: who speaks messages does not expect the provider to keep the conversation.
 */
import type {
  ResponsesEffort,
  ResponsesFunctionTool,
  ResponsesRequest,
  ResponsesToolChoice,
} from '../wire/openai-responses.ts'
import { refuseContinuedThread } from './messages-thread.ts'
import { inputItems, systemTexts } from './messages-to-responses-input.ts'
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

export function toResponsesRequest(request: Json): TranslatedRequest {
  const dropped = droppedFields()
  const {
    model,
    max_tokens,
    messages,
    system,
    temperature,
    top_p,
    stop_sequences,
    stream,
    tools,
    tool_choice,
    thinking,
    output_config,
    metadata,
    service_tier,
    ...rest
  } = request
  dropped.addRest('', rest)
  refuseContinuedThread(request)
  if (!Array.isArray(stop_sequences) || stop_sequences.length > 0) dropped.addRest('', { stop_sequences })

  const modelName = optional(model, 'model', stringAt)
  const limit = optional(max_tokens, 'max_tokens', wholeNumberAt)
  const warmth = optional(temperature, 'temperature', numberAt)
  const topP = optional(top_p, 'top_p', numberAt)
  const instructions = optional(system, 'system', (value, place) => systemTexts(value, place, dropped))
  const functions = optional(tools, 'tools', (value, place) => functionTools(value, place, dropped)) ?? []
  const choice = optional(tool_choice, 'tool_choice', (value, place) => chosen(value, place, dropped))
  if (choice !== undefined && functions.length === 0) dropped.add('tool_choice')
  const output = optional(output_config, 'output_config', (value, place) =>
    outputConfig(value, place, dropped),
  )
  const reasoning = reasoningOf(thinking, output?.effort, dropped)
  const user = optional(metadata, 'metadata', (value, place) => userId(value, place, dropped))
  const tier = optional(service_tier, 'service_tier', serviceTier)

  const body = {
    ...(modelName !== undefined && { model: modelName }),
    ...(instructions?.length && { instructions: instructions.join('\n') }),
    input: inputItems(messages, 'messages', dropped),
    ...(limit !== undefined && { max_output_tokens: limit }),
    ...(warmth !== undefined && { temperature: warmth }),
    ...(topP !== undefined && { top_p: topP }),
    ...(optional(stream, 'stream', booleanAt) === true && { stream: true }),
    store: false,
    ...(functions.length > 0 && { tools: functions, ...choice }),
    ...(reasoning !== undefined && { reasoning }),
    ...(output?.schema !== undefined && {
      text: { format: { type: 'json_schema', name: 'structured_output', schema: output.schema } },
    }),
    ...(tier !== undefined && { service_tier: tier }),
    ...(user !== undefined && { user }),
  } satisfies ResponsesRequest
  return { body, dropped: dropped.list() }
}

/** Tools with a type of their own are run or described by Anthropic: nobody else knows them. */
function functionTools(value: unknown, place: string, dropped: DroppedFields): ResponsesFunctionTool[] {
  return arrayAt(value, place).flatMap((item, i): readonly ResponsesFunctionTool[] => {
    const here = `${place}[${i}]`
    const { type, name, description, input_schema, strict, ...rest } = objectAt(item, here)
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
        name: nameAt(name, `${here}.name`),
        ...(text !== undefined && { description: text }),
        parameters: objectAt(input_schema, `${here}.input_schema`),
        strict: optional(strict, `${here}.strict`, booleanAt) ?? false,
      },
    ]
  })
}

function chosen(
  value: unknown,
  place: string,
  dropped: DroppedFields,
): Pick<ResponsesRequest, 'tool_choice' | 'parallel_tool_calls'> {
  const { type, name, disable_parallel_tool_use, ...rest } = objectAt(value, place)
  dropped.addRest(place, rest)
  const alone = optional(disable_parallel_tool_use, `${place}.disable_parallel_tool_use`, booleanAt)
  return {
    tool_choice: toolChoice(type, name, place),
    ...(alone !== undefined && { parallel_tool_calls: !alone }),
  }
}

function toolChoice(type: unknown, name: unknown, place: string): ResponsesToolChoice {
  switch (type) {
    case 'auto':
    case 'none':
      return type
    case 'any':
      return 'required'
    case 'tool':
      return { type: 'function', name: nameAt(name, `${place}.name`) }
    default:
      return fail(`${place}.type`, 'expected auto, any, tool or none')
  }
}

/** What the client says outright wins over what its thinking implies. Who asks for thinking wants to see it. */
function reasoningOf(
  value: unknown,
  stated: ResponsesEffort | undefined,
  dropped: DroppedFields,
): ResponsesRequest['reasoning'] {
  const thinking = optional(value, 'thinking', objectAt)
  if (thinking === undefined) return stated === undefined ? undefined : { effort: stated }
  const { type, budget_tokens, display, ...rest } = thinking
  dropped.addRest('thinking', rest)
  const budget = optional(budget_tokens, 'thinking.budget_tokens', wholeNumberAt)
  const isShown = optional(display, 'thinking.display', stringAt) !== 'omitted'
  const summary = isShown ? { summary: 'auto' as const } : {}
  switch (type) {
    case 'enabled': {
      if (stated !== undefined && budget !== undefined) dropped.add('thinking.budget_tokens')
      const implied = () =>
        effortOfBudget(budget ?? fail('thinking.budget_tokens', 'expected a whole number'))
      return { effort: stated ?? implied(), ...summary }
    }
    case 'adaptive':
    case 'between_tools':
      return { effort: stated ?? 'high', ...summary }
    case 'disabled':
      // Most of OpenAI's reasoning models cannot be told not to reason, and refuse to be asked.
      dropped.add('thinking')
      return stated === undefined ? undefined : { effort: stated }
    default:
      return fail('thinking.type', 'expected enabled, adaptive, between_tools or disabled')
  }
}

interface OutputConfig {
  readonly effort: ResponsesEffort | undefined
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

/** OpenAI refuses a longer `user`; some clients of Anthropic write an account and a session into theirs. */
const LONGEST_USER = 64

function userId(value: unknown, place: string, dropped: DroppedFields): string | undefined {
  const { user_id, ...rest } = objectAt(value, place)
  dropped.addRest(place, rest)
  const user = optional(user_id, `${place}.user_id`, stringAt)
  if (user === undefined || user.length <= LONGEST_USER) return user
  dropped.add(`${place}.user_id`)
  return undefined
}

function serviceTier(value: unknown, place: string): 'auto' | 'default' {
  if (value === 'auto') return 'auto'
  return value === 'standard_only' ? 'default' : fail(place, 'expected auto or standard_only')
}
