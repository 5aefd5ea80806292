/**
 * The events of a messages stream as chat completion chunks.
 *
 * The finish chunk, the usage and `[DONE]` wait for `message_stop`: until then the provider may still break off,
 * and a client that has seen a finish reason takes the answer for whole.
 */
import type { SseEvent } from '../../core/sse.ts'
import { errorBody } from '../error-body.ts'
import type { ChatChunk, ChatChunkChoice, ChatDelta, ChatServiceTier } from '../wire/openai-chat.ts'
import { finishReason } from './finish-reasons.ts'
import { ENDED_EARLY, providerStreamError } from './provider-errors.ts'
import { eventData, jsonTextOf, objectOf, textOf } from './reply-values.ts'
import type { Json } from './request-values.ts'
import { chatServiceTier, toChatUsage, usageOfMessages } from './token-usage.ts'
import type { StreamStep, TranslationContext } from './translation.ts'

const USAGE_FIELDS = [
  'input_tokens',
  'cache_read_input_tokens',
  'cache_creation_input_tokens',
  'output_tokens',
  'output_tokens_details',
  'service_tier',
]

interface ToolProgress {
  readonly index: number
  /** What the block began with: some servers send the whole input there, and no deltas. */
  readonly input: unknown
  hasArguments: boolean
}

export interface ChatStreamState {
  readonly context: TranslationContext
  phase: 'open' | 'finished' | 'failed'
  id: string
  model: string
  serviceTier: ChatServiceTier | undefined
  /** Anthropic's fields as last reported. */
  readonly usage: Json
  stopReason: unknown
  roleSent: boolean
  toolCount: number
  /** Open tool blocks by the index of their block. */
  readonly tools: Map<unknown, ToolProgress>
}

export const chatStream: StreamStep<ChatStreamState> = {
  start: (context) => ({
    context,
    phase: 'open',
    id: `chatcmpl-${context.id}`,
    model: context.model,
    serviceTier: undefined,
    usage: {},
    stopReason: undefined,
    roleSent: false,
    toolCount: 0,
    tools: new Map(),
  }),
  step: (state, event) => [state, state.phase === 'open' ? translate(state, event) : []],
  end: (state) =>
    state.phase === 'open' ? [breakOff(state, errorBody('completions', 502, ENDED_EARLY, null))] : [],
}

function translate(state: ChatStreamState, event: SseEvent): readonly SseEvent[] {
  if (event.event === 'ping' || event.data === '[DONE]') return []
  const data = eventData(event)
  switch (data.type ?? event.event) {
    case 'message_start':
      begin(state, objectOf(data.message))
      return []
    case 'content_block_start':
      return startBlock(state, data.index, objectOf(data.content_block))
    case 'content_block_delta':
      return continueBlock(state, data.index, objectOf(data.delta))
    case 'content_block_stop':
      return stopBlock(state, data.index)
    case 'message_delta':
      noteUsage(state, objectOf(data.usage))
      state.stopReason = objectOf(data.delta).stop_reason ?? state.stopReason
      return []
    case 'message_stop':
      return finish(state)
    case 'error':
      return [breakOff(state, providerStreamError('completions', data))]
    default:
      return []
  }
}

function begin(state: ChatStreamState, message: Json): void {
  state.id = textOf(message.id) || state.id
  state.model = textOf(message.model) || state.model
  noteUsage(state, objectOf(message.usage))
  state.serviceTier = chatServiceTier(state.usage.service_tier)
}

/** Counts are cumulative, and what an event does not name still stands. */
function noteUsage(state: ChatStreamState, usage: Json): void {
  for (const key of USAGE_FIELDS) {
    if (usage[key] !== undefined && usage[key] !== null) state.usage[key] = usage[key]
  }
}

function startBlock(state: ChatStreamState, blockIndex: unknown, block: Json): readonly SseEvent[] {
  switch (block.type) {
    case 'text':
      return content(state, textOf(block.text))
    case 'thinking':
      return reasoning(state, textOf(block.thinking))
    case 'tool_use':
    case 'server_tool_use': {
      const index = state.toolCount++
      state.tools.set(blockIndex, { index, input: block.input ?? {}, hasArguments: false })
      return [
        delta(state, {
          tool_calls: [
            {
              index,
              id: textOf(block.id),
              type: 'function',
              function: { name: textOf(block.name), arguments: '' },
            },
          ],
        }),
      ]
    }
    default:
      return []
  }
}

function continueBlock(state: ChatStreamState, blockIndex: unknown, part: Json): readonly SseEvent[] {
  switch (part.type) {
    case 'text_delta':
      return content(state, textOf(part.text))
    case 'thinking_delta':
      return reasoning(state, textOf(part.thinking))
    case 'input_json_delta': {
      const tool = state.tools.get(blockIndex)
      const piece = textOf(part.partial_json)
      if (tool === undefined || piece === '') return []
      tool.hasArguments = true
      return [toolArguments(state, tool, piece)]
    }
    default:
      return []
  }
}

function stopBlock(state: ChatStreamState, blockIndex: unknown): readonly SseEvent[] {
  const tool = state.tools.get(blockIndex)
  state.tools.delete(blockIndex)
  if (tool === undefined || tool.hasArguments) return []
  return [toolArguments(state, tool, jsonTextOf(tool.input))]
}

function content(state: ChatStreamState, text: string): readonly SseEvent[] {
  return text === '' ? [] : [delta(state, { content: text })]
}

function reasoning(state: ChatStreamState, text: string): readonly SseEvent[] {
  return text === '' ? [] : [delta(state, { reasoning_content: text })]
}

function toolArguments(state: ChatStreamState, tool: ToolProgress, piece: string): SseEvent {
  return delta(state, { tool_calls: [{ index: tool.index, function: { arguments: piece } }] })
}

function delta(state: ChatStreamState, fields: ChatDelta): SseEvent {
  const complete: ChatDelta = state.roleSent ? fields : { role: 'assistant', ...fields }
  state.roleSent = true
  return chunk(state, [{ index: 0, delta: complete, logprobs: null, finish_reason: null }], null)
}

function finish(state: ChatStreamState): readonly SseEvent[] {
  const openTools = [...state.tools.keys()].flatMap((blockIndex) => stopBlock(state, blockIndex))
  const events = [
    ...openTools,
    chunk(
      state,
      [
        {
          index: 0,
          delta: state.roleSent ? {} : { role: 'assistant' },
          logprobs: null,
          finish_reason: finishReason(state.stopReason),
        },
      ],
      null,
    ),
  ]
  if (state.context.includeUsage) events.push(chunk(state, [], toChatUsage(usageOfMessages(state.usage))))
  events.push({ event: undefined, data: '[DONE]' })
  state.phase = 'finished'
  return events
}

function breakOff(state: ChatStreamState, body: Json): SseEvent {
  state.phase = 'failed'
  return { event: undefined, data: JSON.stringify(body) }
}

function chunk(
  state: ChatStreamState,
  choices: readonly ChatChunkChoice[],
  usage: NonNullable<ChatChunk['usage']> | null,
): SseEvent {
  const body: ChatChunk = {
    id: state.id,
    object: 'chat.completion.chunk',
    created: state.context.now,
    model: state.model,
    ...(state.serviceTier !== undefined && { service_tier: state.serviceTier }),
    choices,
    ...(state.context.includeUsage && { usage }),
  }
  return { event: undefined, data: JSON.stringify(body) }
}
