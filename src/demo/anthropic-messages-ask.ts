/** What a messages request asks for, and how many tokens it has. */
import {
  type Block,
  blocksOf,
  type CountRequest,
  type MessagesRequest,
  type Turn,
} from './anthropic-messages-schema.ts'
import { type Ask, EFFORT_TOKENS } from './reply.ts'
import { requestTokens, textTokens } from './tokens.ts'
import { isJson } from './wire-json.ts'

export function askOf(request: MessagesRequest): Ask {
  const lastUser = request.messages.findLast((turn) => turn.role === 'user')
  const { tool_choice: choice = { type: 'auto' }, thinking, output_config: config } = request
  return {
    inputTokens: countInput(request),
    cacheReadTokens: 0,
    cacheWriteTokens: markedTokens(request),
    lastUserText: lastUser === undefined ? '' : ownText(lastUser),
    answersTools: lastUser !== undefined && blocksOf(lastUser).some((block) => block.type === 'tool_result'),
    tools: (request.tools ?? []).flatMap((tool) =>
      'input_schema' in tool && typeof tool.name === 'string'
        ? [{ name: tool.name, schema: tool.input_schema }]
        : [],
    ),
    toolChoice:
      choice.type === 'any' ? 'required' : choice.type === 'tool' ? { name: choice.name } : choice.type,
    parallelTools: !('disable_parallel_tool_use' in choice && choice.disable_parallel_tool_use === true),
    json: config?.format?.schema,
    maxTokens: request.max_tokens,
    stopSequences: request.stop_sequences ?? [],
    reasoningTokens: thinkingTokens(thinking, config?.effort ?? 'high'),
  }
}

function thinkingTokens(thinking: MessagesRequest['thinking'], effort: string): number {
  if (thinking?.type === 'enabled') return Math.min(Math.floor(thinking.budget_tokens / 8), 512)
  if (thinking?.type === 'adaptive') return Math.floor((EFFORT_TOKENS[effort] ?? 0) / 4)
  return 0
}

const systemText = ({ system = '' }: CountRequest) =>
  typeof system === 'string' ? system : system.map((block) => block.text).join('')

export function countInput(request: CountRequest): number {
  const blocks = request.messages.flatMap(blocksOf)
  return requestTokens({
    messages: request.messages.map((turn) => blocksOf(turn).map(blockText).join('')),
    system: systemText(request),
    tools: request.tools,
    attachments: blocks.filter((block) => block.type === 'image' || block.type === 'document').length,
  })
}

function ownText(turn: Turn): string {
  return blocksOf(turn)
    .map((block) => (block.type === 'text' ? block.text : ''))
    .join('')
}

function blockText(block: Block): string {
  switch (block.type) {
    case 'text':
      return block.text
    case 'thinking':
      return block.thinking
    case 'tool_use':
      return block.name + JSON.stringify(block.input)
    case 'tool_result':
      if (block.content === undefined || typeof block.content === 'string') return block.content ?? ''
      return block.content.map((part) => (part.type === 'text' ? part.text : '')).join('')
    default:
      return ''
  }
}

/** What a request marks with `cache_control` counts as written to the cache: a simulated cache never hits by itself. */
function markedTokens(request: MessagesRequest): number {
  const system = typeof request.system === 'string' ? [] : (request.system ?? [])
  let tokens = 0
  for (const block of system) if (block.cache_control != null) tokens += textTokens(block.text)
  for (const turn of request.messages) {
    for (const block of blocksOf(turn)) {
      if ('cache_control' in block && block.cache_control != null) tokens += textTokens(blockText(block))
    }
  }
  for (const tool of request.tools ?? []) {
    if (isJson(tool) && tool.cache_control != null) tokens += textTokens(JSON.stringify(tool))
  }
  return Math.min(tokens, countInput(request))
}
