/**
 * A Responses request as a messages request.
 *
 * Anthropic refuses thinking beside other sampling parameters, a forced tool, or a conversation that stands in the
 * middle of a tool call: there the effort gives way (and is listed as dropped), except to sampling, which gives way
 * to it. The translation from chat completions decides the same.
 */
import type { MessagesRequest, ToolChoice } from '../wire/anthropic-messages.ts'
import { budgetOf, LEAST_BUDGET } from './reasoning-effort.ts'
import { type DroppedFields, droppedFields, type Json } from './request-values.ts'
import { type ReadRequest, readResponsesRequest } from './responses-request.ts'
import { conversationOf, type Turn } from './responses-to-messages-turns.ts'
import type { OfferedTool, ToolSetup } from './responses-tools.ts'
import type { TranslatedRequest } from './translation.ts'

/** Anthropic requires a limit; OpenAI's clients rarely send one. */
const DEFAULT_MAX_TOKENS = 4096

export function toMessagesRequest(request: Json): TranslatedRequest {
  const dropped = droppedFields()
  const read = readResponsesRequest(request, dropped)
  dropUnknownToMessages(read, dropped)
  const { system, turns } = conversationOf(read.instructions, read.items, dropped)
  const choice = toolChoice(read.toolSetup, dropped)
  const mayThink = choice?.type !== 'any' && choice?.type !== 'tool' && startsTurn(turns)
  const limits = limitsOf(read, mayThink, dropped)
  const userId = userIdOf(read, dropped)
  const format = read.format === 'json_object' ? undefined : read.format

  const body = {
    ...(read.model !== undefined && { model: read.model }),
    ...limits,
    messages: turns,
    ...(system !== '' && { system }),
    ...samplingOf(read, limits.thinking !== undefined, dropped),
    ...(read.stream && { stream: true as const }),
    ...(read.toolSetup.tools.length > 0 && {
      tools: read.toolSetup.tools.map((tool) => messagesTool(tool, dropped)),
    }),
    ...(choice !== undefined && { tool_choice: choice }),
    ...(format !== undefined && {
      output_config: { format: { type: 'json_schema' as const, schema: format.schema } },
    }),
    ...(userId !== undefined && { metadata: { user_id: userId } }),
  } satisfies Omit<MessagesRequest, 'messages'> & Json
  return { body, dropped: dropped.list() }
}

function dropUnknownToMessages(read: ReadRequest, dropped: DroppedFields): void {
  dropped.addRest('', read.shared)
  if (read.topLogprobs !== undefined) dropped.add('top_logprobs')
  if (read.wantsLogprobs) dropped.add('include')
  if (read.verbosity !== undefined) dropped.add('text.verbosity')
  // The API wants every object closed, so "any object" cannot be said. OpenAI takes this format only where the
  // prompt asks for JSON, and the prompt goes through.
  if (read.format === 'json_object') dropped.add('text.format')
  else if (read.format !== undefined) {
    const { name, description, strict } = read.format
    dropped.addRest('text.format', { name, description, strict })
  }
}

/**
 * Whether the model is to begin a new turn. In the middle of one (after tool results, or to continue its own words)
 * thinking would have to carry on from signed thinking blocks, which are not kept.
 */
function startsTurn(turns: readonly Turn[]): boolean {
  const last = turns.at(-1)
  return last?.role !== 'assistant' && !last?.content.some((block) => block.type === 'tool_result')
}

function limitsOf(
  read: ReadRequest,
  mayThink: boolean,
  dropped: DroppedFields,
): Pick<MessagesRequest, 'max_tokens' | 'thinking'> {
  const limit = read.maxOutputTokens
  const budget = read.effort === undefined ? undefined : budgetOf(read.effort)
  if (budget === undefined) return { max_tokens: limit ?? DEFAULT_MAX_TOKENS }
  if (!mayThink || (limit !== undefined && limit <= LEAST_BUDGET)) {
    dropped.add('reasoning.effort')
    return { max_tokens: limit ?? DEFAULT_MAX_TOKENS }
  }
  // Thinking is part of what `max_tokens` limits: our own default leaves room for it, a client's limit stands.
  const max_tokens = limit ?? budget + DEFAULT_MAX_TOKENS
  return { max_tokens, thinking: { type: 'enabled', budget_tokens: Math.min(budget, max_tokens - 1) } }
}

/** https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#feature-compatibility */
function samplingOf(
  read: ReadRequest,
  isThinking: boolean,
  dropped: DroppedFields,
): Pick<MessagesRequest, 'temperature' | 'top_p'> {
  const { temperature, topP } = read
  const keepTemperature = temperature !== undefined && (!isThinking || temperature === 1)
  const keepTopP = topP !== undefined && (!isThinking || topP >= 0.95)
  if (temperature !== undefined && !keepTemperature) dropped.add('temperature')
  if (topP !== undefined && !keepTopP) dropped.add('top_p')
  return { ...(keepTemperature && { temperature }), ...(keepTopP && { top_p: topP }) }
}

/** `safety_identifier` is OpenAI's newer name for `user`. */
function userIdOf(read: ReadRequest, dropped: DroppedFields): string | undefined {
  if (read.user !== undefined && read.safetyIdentifier !== undefined) dropped.add('safety_identifier')
  return read.user ?? read.safetyIdentifier
}

function messagesTool(tool: OfferedTool, dropped: DroppedFields) {
  if (tool.strict === true) dropped.add(`${tool.place}.strict`)
  return {
    name: tool.name,
    ...(tool.description !== undefined && { description: tool.description }),
    // The API insists on the type; OpenAI takes a function without parameters.
    input_schema: { type: 'object', ...(tool.parameters ?? { properties: {} }) },
  }
}

function toolChoice(setup: ToolSetup, dropped: DroppedFields): ToolChoice | undefined {
  if (setup.tools.length === 0) return undefined
  if (setup.choice === undefined && setup.parallel === undefined) return undefined
  const choice = choiceOf(setup.choice ?? 'auto')
  if (setup.parallel === undefined) return choice
  if (choice.type === 'none') {
    dropped.add('parallel_tool_calls')
    return choice
  }
  return { ...choice, disable_parallel_tool_use: !setup.parallel }
}

function choiceOf(choice: NonNullable<ToolSetup['choice']>): ToolChoice {
  if (typeof choice !== 'string') return { type: 'tool', name: choice.name }
  return choice === 'required' ? { type: 'any' } : { type: choice }
}
