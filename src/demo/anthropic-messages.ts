/**
 * POST /v1/messages and /v1/messages/count_tokens as Anthropic answers them.
 * https://docs.claude.com/en/api/messages-streaming
 *
 * On the wire `input_tokens` leaves out what was read from the cache or written to it.
 */
import type { Usage } from '../core/usage.ts'
import { type Answer, type Frame, NO_USAGE } from './answer.ts'
import { midstreamFailure } from './anthropic-errors.ts'
import {
  type Block,
  blocksOf,
  type CountRequest,
  type MessagesRequest,
  parseCountRequest,
  parseMessagesRequest,
  type Strictness,
  type Turn,
} from './anthropic-messages-request.ts'
import { checkModel, snapshotOf } from './anthropic-models.ts'
import { messageId, toolUseId } from './ids.ts'
import { type Ask, composeReply, EFFORT_TOKENS, hash, pieces, type Reply } from './reply.ts'
import type { Script } from './script.ts'
import { requestTokens, spread, textTokens } from './tokens.ts'
import { isJson } from './wire-json.ts'

const STOP = { stop: 'end_turn', sequence: 'stop_sequence', length: 'max_tokens', tools: 'tool_use' } as const

export function answerMessages(
  body: unknown,
  script: Script,
  context: { readonly requestId: string; readonly strictness: Strictness },
): Answer {
  const request = parseMessagesRequest(body, context.strictness)
  checkModel(request.model)
  const reply = composeReply(askOf(request), script)
  const message: Message = {
    id: messageId(),
    model: snapshotOf(request.model),
    stopReason: script.finishReason ?? STOP[reply.finish],
    stopSequence: reply.stopSequence ?? null,
    blocks: contentOf(reply, request),
  }
  const stream = request.stream === true
  return {
    model: request.model,
    responseModel: message.model,
    status: 200,
    headers: stream
      ? { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }
      : { 'content-type': 'application/json' },
    body: stream
      ? {
          kind: 'stream',
          frames: messageFrames(message, script, reply.usage),
          failure: midstreamFailure(context.requestId),
        }
      : { kind: 'unary', text: JSON.stringify(wholeMessage(message, script, reply.usage)) },
    usage: reply.usage,
  }
}

export function answerCountTokens(body: unknown, script: Script, strictness: Strictness): Answer {
  const request = parseCountRequest(body, strictness)
  checkModel(request.model)
  const input_tokens = script.inputTokens ?? countInput(request)
  return {
    model: request.model,
    responseModel: request.model,
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: { kind: 'unary', text: JSON.stringify({ input_tokens }) },
    // Counting is free.
    usage: NO_USAGE,
  }
}

interface Message {
  readonly id: string
  readonly model: string
  readonly stopReason: string
  readonly stopSequence: string | null
  readonly blocks: readonly ReplyBlock[]
}

type ReplyBlock =
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly json: string }

function contentOf(reply: Reply, request: MessagesRequest): ReplyBlock[] {
  const blocks: ReplyBlock[] = []
  const { thinking = { type: 'disabled' } } = request
  if (reply.reasoning !== '' && thinking.type !== 'disabled') {
    const omitted = 'display' in thinking && thinking.display === 'omitted'
    blocks.push({
      type: 'thinking',
      thinking: omitted ? '' : reply.reasoning,
      signature: signatureOf(reply.reasoning),
    })
  }
  if (reply.text !== '') blocks.push({ type: 'text', text: reply.text })
  for (const call of reply.toolCalls) {
    blocks.push({ type: 'tool_use', id: toolUseId(), name: call.name, json: call.arguments })
  }
  return blocks
}

/** Opaque to clients; the provider wants it back unchanged. */
function signatureOf(thinking: string): string {
  const bytes = Buffer.from(`simulated ${hash(thinking).toString(16)} `.repeat(4))
  return `EqQB${bytes.toString('base64').replaceAll('=', 'A')}==`
}

function wireUsage(usage: Usage, outputTokens: number) {
  return {
    input_tokens: usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation: { ephemeral_5m_input_tokens: usage.cacheWriteTokens, ephemeral_1h_input_tokens: 0 },
    output_tokens: outputTokens,
    service_tier: 'standard',
    inference_geo: 'global',
  }
}

const details = ({ reasoningTokens }: Usage) =>
  reasoningTokens > 0 ? { output_tokens_details: { thinking_tokens: reasoningTokens } } : {}

const NO_CALLER = { caller: { type: 'direct' } } as const

function wholeMessage(message: Message, script: Script, usage: Usage) {
  return {
    model: message.model,
    id: message.id,
    type: 'message',
    role: 'assistant',
    content: message.blocks.map((block) =>
      block.type === 'tool_use'
        ? { type: 'tool_use', id: block.id, name: block.name, input: parsed(block.json), ...NO_CALLER }
        : block,
    ),
    stop_reason: message.stopReason,
    stop_sequence: message.stopSequence,
    stop_details: null,
    ...(script.fault !== 'missing-usage' && {
      usage: { ...wireUsage(usage, usage.outputTokens), ...details(usage) },
    }),
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    // A script may ask for arguments that are not JSON; unary answers have no place for those.
    return {}
  }
}

function messageFrames(message: Message, script: Script, usage: Usage): Frame[] {
  const frames: Frame[] = []
  const silent = script.fault === 'missing-usage'
  const costs = deltaCosts(message, script, usage)
  let next = 0

  function add(kind: Frame['kind'], event: { readonly type: string }, outputTokens = 0, reasoningTokens = 0) {
    // The spaces are the real API's way to hide the length of what it says.
    const padding = ' '.repeat((frames.length * 5) % 16)
    const data = JSON.stringify(event).replace(/}$/, `${padding}}`)
    frames.push({ text: `event: ${event.type}\ndata: ${data}\n\n`, kind, outputTokens, reasoningTokens })
  }
  function delta(index: number, change: unknown) {
    const cost = costs[next++]
    add(
      'delta',
      { type: 'content_block_delta', index, delta: change } as { type: string },
      cost?.output,
      cost?.reasoning,
    )
  }

  const start = {
    model: message.model,
    id: message.id,
    type: 'message',
    role: 'assistant',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    ...(!silent && { usage: wireUsage(usage, Math.min(1, usage.outputTokens)) }),
  }
  add('event', { type: 'message_start', message: start } as { type: string }, Math.min(1, usage.outputTokens))
  for (const [index, block] of message.blocks.entries()) {
    add('event', { type: 'content_block_start', index, content_block: opening(block) } as { type: string })
    if (index === 0) frames.push({ ...PING })
    for (const change of changes(block, script)) delta(index, change)
    add('event', { type: 'content_block_stop', index } as { type: string })
  }
  const {
    cache_creation: _,
    service_tier: __,
    inference_geo: ___,
    ...final
  } = wireUsage(usage, usage.outputTokens)
  const end = {
    type: 'message_delta',
    delta: { stop_reason: message.stopReason, stop_sequence: message.stopSequence, stop_details: null },
    ...(!silent && { usage: { ...final, ...details(usage) } }),
  }
  add('event', end, costs.length === 0 ? Math.max(usage.outputTokens - 1, 0) : 0)
  add('event', { type: 'message_stop' })
  return frames
}

const PING: Frame = {
  text: 'event: ping\ndata: {"type": "ping"}\n\n',
  kind: 'event',
  outputTokens: 0,
  reasoningTokens: 0,
}

function opening(block: ReplyBlock) {
  switch (block.type) {
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' }
    case 'text':
      return { type: 'text', text: '' }
    case 'tool_use':
      return { type: 'tool_use', id: block.id, name: block.name, input: {}, ...NO_CALLER }
    default:
      return block satisfies never
  }
}

function changes(block: ReplyBlock, script: Script): unknown[] {
  switch (block.type) {
    case 'thinking':
      return [
        ...pieces(block.thinking, script.chunks).map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature: block.signature },
      ]
    case 'text':
      return pieces(block.text, script.chunks).map((text) => ({ type: 'text_delta', text }))
    case 'tool_use':
      return ['', ...pieces(block.json, script.chunks)].map((partial_json) => ({
        type: 'input_json_delta',
        partial_json,
      }))
    default:
      return block satisfies never
  }
}

/** What each delta costs: thinking is paid with the thinking block, or with the first delta when it is not shown. */
function deltaCosts(message: Message, script: Script, usage: Usage) {
  const counts = message.blocks.map((block) => changes(block, script).length)
  const total = counts.reduce((sum, count) => sum + count, 0)
  // `message_start` has told of one token already.
  const output = Math.max(usage.outputTokens - 1, 0)
  const reasoning = Math.min(usage.reasoningTokens, output)
  const thinking = message.blocks[0]?.type === 'thinking' ? (counts[0] ?? 0) : 0
  const thought = spread(reasoning, thinking === 0 ? Math.min(1, total) : thinking)
  const said = thinking === total ? [] : spread(output - reasoning, total - thinking)
  return Array.from({ length: total }, (_, index) => {
    const own = thinking === 0 ? said[index] : index < thinking ? 0 : said[index - thinking]
    return { output: (own ?? 0) + (thought[index] ?? 0), reasoning: thought[index] ?? 0 }
  })
}

function askOf(request: MessagesRequest): Ask {
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

function countInput(request: CountRequest): number {
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
