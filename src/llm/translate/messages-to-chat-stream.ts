/**
 * Chat completion chunks as the events of a messages stream.
 *
 * Chat completions may interleave parallel tool calls; messages must close one block before the next opens. So
 * the blocks form a queue: the head is open and live, the others collect their pieces until it is their turn. A
 * tool call stays at the head until its JSON is complete (or the stream has finished), so that no later piece
 * finds its block closed.
 */
import type { SseEvent } from '../../core/sse.ts'
import { errorBody } from '../error-body.ts'
import type { BlockDelta, ContentBlock, MessagesStreamEvent } from '../wire/anthropic-messages.ts'
import { stopReason } from './finish-reasons.ts'
import { contentText, missingToolId, reasoningOf } from './messages-to-chat-response.ts'
import { ENDED_EARLY, providerStreamError } from './provider-errors.ts'
import { arrayOf, eventData, objectOf, textOf } from './reply-values.ts'
import { isObject, type Json } from './request-values.ts'
import { messagesServiceTier, NO_USAGE, toMessagesUsage, usageOfChat } from './token-usage.ts'
import { advance, type JsonProgress, jsonProgress } from './tool-arguments.ts'
import type { StreamStep, TranslationContext } from './translation.ts'

interface Tool {
  readonly kind: 'tool'
  /** Counts tool calls. */
  readonly number: number
  id: string
  name: string
  readonly progress: JsonProgress
  /** Pieces that wait until the block is open. */
  pending: string[]
}

interface Prose {
  readonly kind: 'text' | 'thinking'
  pending: string[]
}

type Block = Tool | Prose

export interface MessagesStreamState {
  readonly context: TranslationContext
  phase: 'open' | 'finished' | 'failed'
  started: boolean
  /** Blocks that are not closed yet; the first may be open. */
  readonly queue: Block[]
  headIsOpen: boolean
  /** Number of blocks that were opened. */
  opened: number
  /** The latest call for each index of the provider's. */
  readonly tools: Map<unknown, Tool>
  toolCount: number
  hasRefusal: boolean
  finishReason: string | undefined
  usage: Json | undefined
  serviceTier: unknown
}

export const messagesStream: StreamStep<MessagesStreamState> = {
  start: (context) => ({
    context,
    phase: 'open',
    started: false,
    queue: [],
    headIsOpen: false,
    opened: 0,
    tools: new Map(),
    toolCount: 0,
    hasRefusal: false,
    finishReason: undefined,
    usage: undefined,
    serviceTier: undefined,
  }),
  step: (state, event) => [state, state.phase === 'open' ? translate(state, event) : []],
  end: (state) => {
    if (state.phase !== 'open') return []
    // Some servers end without `[DONE]`; a finish reason says as much.
    if (state.finishReason !== undefined) return finish(state)
    return [breakOff(state, errorBody('messages', 502, ENDED_EARLY, null))]
  },
}

function translate(state: MessagesStreamState, event: SseEvent): readonly SseEvent[] {
  if (event.data.trim() === '[DONE]') return finish(state)
  const data = eventData(event)
  if (event.event === 'error' || (data.error !== undefined && data.error !== null)) {
    return [breakOff(state, providerStreamError('messages', data))]
  }
  const choice = arrayOf(data.choices)
    .map(objectOf)
    .find((one) => (one.index ?? 0) === 0)
  if (choice === undefined && !isObject(data.usage)) return []

  const events: SseEvent[] = []
  start(state, data, events)
  if (isObject(data.usage)) state.usage = data.usage
  state.serviceTier = data.service_tier ?? state.serviceTier
  if (choice !== undefined) {
    readDelta(state, objectOf(choice.delta), events)
    state.finishReason = textOf(choice.finish_reason) || state.finishReason
  } else if (state.finishReason !== undefined) {
    // Usage without a choice is the last chunk: what follows it can only be `[DONE]`.
    return events.concat(finish(state))
  }
  return events
}

function start(state: MessagesStreamState, chunk: Json, events: SseEvent[]): void {
  if (state.started) return
  state.started = true
  events.push(
    sse({
      type: 'message_start',
      message: {
        id: textOf(chunk.id) || `msg_${state.context.id}`,
        type: 'message',
        role: 'assistant',
        model: textOf(chunk.model) || state.context.model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: toMessagesUsage({
          ...usageOfChat(objectOf(chunk.usage)),
          outputTokens: 0,
          reasoningTokens: 0,
        }),
      },
    }),
  )
}

function readDelta(state: MessagesStreamState, delta: Json, events: SseEvent[]): void {
  addProse(state, 'thinking', reasoningOf(delta), events)
  addProse(state, 'text', contentText(delta.content), events)
  const refusal = textOf(delta.refusal)
  if (refusal !== '') state.hasRefusal = true
  addProse(state, 'text', refusal, events)
  for (const call of arrayOf(delta.tool_calls)) addToolCall(state, objectOf(call), events)
}

function addProse(state: MessagesStreamState, kind: Prose['kind'], piece: string, events: SseEvent[]): void {
  if (piece === '') return
  let block = state.queue.at(-1)
  if (block?.kind !== kind) {
    block = { kind, pending: [] }
    state.queue.push(block)
  }
  block.pending.push(piece)
  pump(state, events)
}

function addToolCall(state: MessagesStreamState, call: Json, events: SseEvent[]): void {
  const called = objectOf(call.function)
  const id = textOf(call.id)
  const name = textOf(called.name)
  const index = typeof call.index === 'number' ? call.index : 0
  let tool = state.tools.get(index)
  // Some servers number every call 0: a name with an id of its own begins another one.
  if (tool === undefined || (id !== '' && name !== '' && tool.id !== '' && tool.id !== id)) {
    tool = { kind: 'tool', number: state.toolCount++, id, name, progress: jsonProgress(), pending: [] }
    state.tools.set(index, tool)
    state.queue.push(tool)
  }
  tool.id ||= id
  tool.name ||= name
  const piece = textOf(called.arguments)
  // Behind the closing brace only white space is valid, and the block may be closed already.
  if (piece !== '' && !tool.progress.complete) {
    advance(tool.progress, piece)
    tool.pending.push(piece)
  }
  pump(state, events)
}

/** Sends all that may be sent now. */
function pump(state: MessagesStreamState, events: SseEvent[]): void {
  for (;;) {
    const head = state.queue[0]
    if (head === undefined) return
    if (!state.headIsOpen) {
      if (head.kind === 'tool' && head.name === '') return // its name is still to come
      open(state, head, events)
    }
    sendPending(state, head, events)
    const mayClose = head.kind !== 'tool' || head.progress.complete
    if (state.queue.length === 1 || !mayClose) return
    close(state, events)
  }
}

function open(state: MessagesStreamState, block: Block, events: SseEvent[]): void {
  const content_block = emptyBlock(block)
  events.push(sse({ type: 'content_block_start', index: state.opened, content_block }))
  state.opened += 1
  state.headIsOpen = true
}

function emptyBlock(block: Block): ContentBlock {
  switch (block.kind) {
    case 'text':
      return { type: 'text', text: '' }
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' }
    case 'tool':
      return { type: 'tool_use', id: block.id || missingToolId(block.number), name: block.name, input: {} }
  }
}

function sendPending(state: MessagesStreamState, block: Block, events: SseEvent[]): void {
  if (block.pending.length === 0) return
  const text = block.pending.join('')
  block.pending = []
  events.push(sse({ type: 'content_block_delta', index: state.opened - 1, delta: blockDelta(block, text) }))
}

function blockDelta(block: Block, text: string): BlockDelta {
  switch (block.kind) {
    case 'text':
      return { type: 'text_delta', text }
    case 'thinking':
      return { type: 'thinking_delta', thinking: text }
    case 'tool':
      return { type: 'input_json_delta', partial_json: text }
  }
}

function close(state: MessagesStreamState, events: SseEvent[]): void {
  events.push(sse({ type: 'content_block_stop', index: state.opened - 1 }))
  state.queue.shift()
  state.headIsOpen = false
}

function finish(state: MessagesStreamState): readonly SseEvent[] {
  const events: SseEvent[] = []
  start(state, {}, events)
  for (let head = state.queue[0]; head !== undefined; head = state.queue[0]) {
    if (!state.headIsOpen) open(state, head, events)
    sendPending(state, head, events)
    close(state, events)
  }
  const usage = state.usage === undefined ? NO_USAGE : usageOfChat(state.usage)
  events.push(
    sse({
      type: 'message_delta',
      delta: {
        stop_reason: stopReason(state.finishReason, {
          hasToolCalls: state.toolCount > 0,
          hasRefusal: state.hasRefusal,
        }),
        stop_sequence: null,
      },
      usage: toMessagesUsage(usage, messagesServiceTier(state.serviceTier)),
    }),
    sse({ type: 'message_stop' }),
  )
  state.phase = 'finished'
  return events
}

function breakOff(state: MessagesStreamState, body: Json): SseEvent {
  state.phase = 'failed'
  return { event: 'error', data: JSON.stringify(body) }
}

const sse = (event: MessagesStreamEvent): SseEvent => ({ event: event.type, data: JSON.stringify(event) })
