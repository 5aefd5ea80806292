/** What a responses request asks for, and how many tokens it has. */
import { cachedTokens } from './openai-chat.ts'
import {
  type InputItem,
  isCall,
  isCallOutput,
  itemsOf,
  type ResponsesRequest,
} from './openai-responses-request.ts'
import { type Ask, EFFORT_TOKENS } from './reply.ts'
import { requestTokens } from './tokens.ts'
import { isJson } from './wire-json.ts'

export function askOf(request: ResponsesRequest): Ask {
  const items = itemsOf(request)
  const { tool_choice: choice = 'auto', text } = request
  const lastUser = items.findLast((item) => 'role' in item && item.role === 'user')
  const last = items.at(-1)
  const inputTokens = requestTokens({
    messages: items.map(itemText),
    system: request.instructions ?? '',
    tools: request.tools,
    attachments: items.reduce((sum, item) => sum + attachments(item), 0),
  })
  return {
    inputTokens,
    cacheReadTokens: cachedTokens(inputTokens, request.prompt_cache_key),
    cacheWriteTokens: 0,
    lastUserText: lastUser === undefined ? '' : itemText(lastUser),
    answersTools: last !== undefined && isCallOutput(last),
    tools: (request.tools ?? []).flatMap((tool) =>
      tool.type === 'function' && typeof tool.name === 'string'
        ? [{ name: tool.name, schema: tool.parameters }]
        : [],
    ),
    toolChoice:
      typeof choice === 'string' ? choice : typeof choice.name === 'string' ? { name: choice.name } : 'auto',
    parallelTools: request.parallel_tool_calls !== false,
    json:
      text?.format?.type === 'json_object'
        ? true
        : text?.format?.type === 'json_schema'
          ? text.format.schema
          : undefined,
    maxTokens: request.max_output_tokens ?? undefined,
    stopSequences: [],
    reasoningTokens: EFFORT_TOKENS[request.reasoning?.effort ?? 'none'] ?? 0,
  }
}

function partsText(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: unknown) => (isJson(part) && typeof part.text === 'string' ? part.text : ''))
    .join('')
}

function itemText(item: InputItem): string {
  if (isCall(item)) return item.name + item.arguments
  if (isCallOutput(item)) return partsText(item.output)
  return 'content' in item ? partsText(item.content) : ''
}

function attachments(item: InputItem): number {
  if (!('content' in item) || !Array.isArray(item.content)) return 0
  return item.content.filter((part) => part.type === 'input_image' || part.type === 'input_file').length
}
