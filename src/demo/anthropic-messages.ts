/**
 * POST /v1/messages and /v1/messages/count_tokens as Anthropic answers them.
 * https://docs.claude.com/en/api/messages-streaming
 *
 * On the wire `input_tokens` leaves out what was read from the cache or written to it.
 */
import type { Usage } from '../core/usage.ts'
import { type Answer, type Frame, NO_USAGE } from './answer.ts'
import { midstreamFailure } from './anthropic-errors.ts'
import { askOf, countInput } from './anthropic-messages-ask.ts'
import { parseCountRequest, parseMessagesRequest } from './anthropic-messages-request.ts'
import type { Strictness } from './anthropic-messages-rules.ts'
import type { MessagesRequest } from './anthropic-messages-schema.ts'
import { checkModel, snapshotOf } from './anthropic-models.ts'
import { messageId, toolUseId } from './ids.ts'
import { composeReply, hash, pieces, type Reply } from './reply.ts'
import type { Script } from './script.ts'
import { shareOut, spread } from './tokens.ts'

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

/** The type is also the event's name. */
type WireEvent = Readonly<Record<string, unknown>> & { readonly type: string }

function messageFrames(message: Message, script: Script, usage: Usage): Frame[] {
  const frames: Frame[] = []
  const silent = script.fault === 'missing-usage'
  const told = startCost(usage)
  const costs = deltaCosts(message, script, usage)
  let next = 0

  function add(kind: Frame['kind'], event: WireEvent, outputTokens = 0, reasoningTokens = 0) {
    // The spaces are the real API's way to hide the length of what it says.
    const padding = ' '.repeat((frames.length * 5) % 16)
    const data = JSON.stringify(event).replace(/}$/, `${padding}}`)
    frames.push({ text: `event: ${event.type}\ndata: ${data}\n\n`, kind, outputTokens, reasoningTokens })
  }
  function delta(index: number, change: unknown) {
    const cost = costs[next++]
    add('delta', { type: 'content_block_delta', index, delta: change }, cost?.output, cost?.reasoning)
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
    ...(!silent && { usage: wireUsage(usage, told.output) }),
  }
  add('event', { type: 'message_start', message: start }, told.output, told.reasoning)
  for (const [index, block] of message.blocks.entries()) {
    add('event', { type: 'content_block_start', index, content_block: opening(block) })
    if (index === 0) frames.push({ ...PING })
    for (const change of changes(block, script)) delta(index, change)
    add('event', { type: 'content_block_stop', index })
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
  // What no delta carried is known at the end: an answer without content, or of nothing but thinking.
  const { outputTokens, reasoningTokens } = restOf(usage, frames)
  add('event', end, outputTokens, reasoningTokens)
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

function restOf(usage: Usage, frames: readonly Frame[]): Pick<Usage, 'outputTokens' | 'reasoningTokens'> {
  let { outputTokens, reasoningTokens } = usage
  for (const frame of frames) {
    outputTokens -= frame.outputTokens
    reasoningTokens -= frame.reasoningTokens
  }
  return { outputTokens, reasoningTokens: Math.min(reasoningTokens, outputTokens) }
}

/** `message_start` tells of the first token already: a thought, if there are any. */
function startCost({ outputTokens, reasoningTokens }: Usage) {
  const output = Math.min(1, outputTokens)
  return { output, reasoning: Math.min(output, reasoningTokens) }
}

/** What each delta costs: thinking is paid with the thinking block, or with the first delta when it is not shown. */
function deltaCosts(message: Message, script: Script, usage: Usage) {
  const counts = message.blocks.map((block) => changes(block, script).length)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const told = startCost(usage)
  const output = usage.outputTokens - told.output
  const reasoning = Math.min(usage.reasoningTokens - told.reasoning, output)
  const thinking = message.blocks[0]?.type === 'thinking' ? (counts[0] ?? 0) : 0
  const thought = spread(reasoning, thinking === 0 ? Math.min(1, total) : thinking)
  const texts = message.blocks
    .filter((block) => block.type !== 'thinking')
    .flatMap((block) =>
      block.type === 'text' ? pieces(block.text, script.chunks) : changes(block, script).map(() => ''),
    )
  const said = texts.length === 0 ? [] : shareOut(output - reasoning, texts, told.output - told.reasoning)
  return Array.from({ length: total }, (_, index) => {
    const own = thinking === 0 ? said[index] : index < thinking ? 0 : said[index - thinking]
    return { output: (own ?? 0) + (thought[index] ?? 0), reasoning: thought[index] ?? 0 }
  })
}
