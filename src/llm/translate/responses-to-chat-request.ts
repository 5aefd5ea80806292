/** A Responses request as a chat completions request. */
import type { ChatRequest } from '../wire/openai-chat.ts'
import { droppedFields, type Json, optional, stringAt } from './request-values.ts'
import { type JsonSchemaFormat, type ReadRequest, readResponsesRequest } from './responses-request.ts'
import { chatMessages } from './responses-to-chat-messages.ts'
import type { OfferedTool, ToolSetup } from './responses-tools.ts'
import type { TranslatedRequest } from './translation.ts'

export function toChatRequest(request: Json): TranslatedRequest {
  const dropped = droppedFields()
  const read = readResponsesRequest(request, dropped)
  const body = {
    ...(read.model !== undefined && { model: read.model }),
    messages: chatMessages(read.instructions, read.items, dropped),
    ...(read.maxOutputTokens !== undefined && { max_completion_tokens: read.maxOutputTokens }),
    ...(read.temperature !== undefined && { temperature: read.temperature }),
    ...(read.topP !== undefined && { top_p: read.topP }),
    ...(read.stream && { stream: true, stream_options: { include_usage: true } }),
    ...toolFields(read.toolSetup),
    ...(read.effort !== undefined && { reasoning_effort: read.effort }),
    ...(read.format !== undefined && { response_format: responseFormat(read.format) }),
    ...(read.verbosity !== undefined && { verbosity: read.verbosity }),
    ...logprobFields(read),
    ...(read.user !== undefined && { user: read.user }),
    ...(read.safetyIdentifier !== undefined && { safety_identifier: read.safetyIdentifier }),
    ...sharedFields(read.shared),
  } satisfies Omit<ChatRequest, 'messages' | 'response_format'> & Json
  return { body, dropped: dropped.list() }
}

function sharedFields(shared: Json): Json {
  return Object.fromEntries(
    Object.entries(shared).flatMap(([key, value]) => {
      const text = optional(value, key, stringAt)
      return text === undefined ? [] : [[key, text]]
    }),
  )
}

function toolFields(setup: ToolSetup): Json {
  if (setup.tools.length === 0) return {}
  const { choice } = setup
  return {
    tools: setup.tools.map(chatTool),
    ...(choice !== undefined && {
      tool_choice:
        typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } },
    }),
    ...(setup.parallel !== undefined && { parallel_tool_calls: setup.parallel }),
  }
}

function chatTool(tool: OfferedTool): Json {
  return {
    type: 'function',
    function: {
      name: tool.name,
      ...(tool.description !== undefined && { description: tool.description }),
      ...(tool.parameters !== undefined && { parameters: tool.parameters }),
      ...(tool.strict !== undefined && { strict: tool.strict }),
    },
  }
}

function responseFormat(format: 'json_object' | JsonSchemaFormat): Json {
  if (format === 'json_object') return { type: 'json_object' }
  return {
    type: 'json_schema',
    json_schema: {
      name: format.name,
      schema: format.schema,
      ...(format.description !== undefined && { description: format.description }),
      ...(format.strict !== undefined && { strict: format.strict }),
    },
  }
}

function logprobFields(read: ReadRequest): Json {
  if (read.topLogprobs === undefined) return read.wantsLogprobs ? { logprobs: true } : {}
  return { logprobs: true, top_logprobs: read.topLogprobs }
}
