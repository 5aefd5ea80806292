/**
 * The events of a Responses stream as the events of a messages stream.
 *
 * A Responses stream may write several items at once; messages must close one block before the next opens. So the
 * blocks form a queue: the head is open and live, the others collect their pieces until it is their turn.
 */
import type { SseEvent } from '../../core/sse.ts'
import { errorBody } from '../error-body.ts'
import type { BlockDelta, ContentBlock, MessagesStreamEvent } from '../wire/anthropic-messages.ts'
import { messageStopReason } from './messages-to-responses-response.ts'
import { ENDED_EARLY, providerStreamError } from './provider-errors.ts'
import { arrayOf, eventData, objectOf, textOf } from './reply-values.ts'
import type { Json } from './request-values.ts'
import { usageOfResponses } from './responses-usage.ts'
import { messagesServiceTier, NO_USAGE, toMessagesUsage } from './token-usage.ts'
import type { StreamStep, TranslationContext } from './translation.ts'

interface Block {
  readonly kind: 'text' | 'thinking' | 'tool'
  /** Of a tool. */
  readonly id: string
  readonly name: string
  /** Pieces that wait until the block is open. */
  pending: string[]
  hasContent: boolean
  isComplete: boolean
}

export interface MessagesFromResponsesState {
  readonly context: TranslationContext
  phase: 'open' | 'finished' | 'failed'
  hasStarted: boolean
  /** Every block there was, by the item and part that it shows: `0:call`, `1:text:0`. */
  readonly blocks: Map<string, Block>
  /** Blocks that are not closed yet; the first may be open. */
  readonly queue: Block[]
  headIsOpen: boolean
  /** Number of blocks that were opened. */
  opened: number
  hasRefusal: boolean
  events: SseEvent[]
}

export const messagesFromResponsesStream: StreamStep<MessagesFromResponsesState> = {
  start: (context) => ({
    context,
    phase: 'open',
    hasStarted: false,
    blocks: new Map(),
    queue: [],
    headIsOpen: false,
    opened: 0,
    hasRefusal: false,
    events: [],
  }),
  step: (state, event) => {
    if (state.phase === 'open') translate(state, event)
    return [state, takeEvents(state)]
  },
  end: (state) => {
    if (state.phase === 'open') breakOff(state, errorBody('messages', 502, ENDED_EARLY, null))
    return takeEvents(state)
  },
}

function takeEvents(state: MessagesFromResponsesState): readonly SseEvent[] {
  const { events } = state
  state.events = []
  return events
}

function push(state: MessagesFromResponsesState, event: MessagesStreamEvent): void {
  state.events.push({ event: event.type, data: JSON.stringify(event) })
}

function translate(state: MessagesFromResponsesState, event: SseEvent): void {
  if (event.data === '[DONE]') return
  const data = eventData(event)
  const at = textOf(data.type ?? event.event)
  const item = data.output_index ?? 0
  const text = `${item}:text:${data.content_index ?? 0}`
  const thought = `${item}:thinking:${data.summary_index ?? data.content_index ?? 0}`
  const call = `${item}:call`
  switch (at) {
    case 'response.created':
    case 'response.in_progress':
      start(state, objectOf(data.response))
      break
    case 'response.output_item.added':
      addItem(state, item, objectOf(data.item))
      break
    case 'response.refusal.delta':
      state.hasRefusal = true
      write(state, text, 'text', textOf(data.delta))
      break
    case 'response.output_text.delta':
      write(state, text, 'text', textOf(data.delta))
      break
    case 'response.reasoning_summary_text.delta':
    case 'response.reasoning_text.delta':
      write(state, thought, 'thinking', textOf(data.delta))
      break
    case 'response.function_call_arguments.delta':
      writeArguments(state, call, textOf(data.delta))
      break
    case 'response.output_text.done':
    case 'response.refusal.done':
      complete(state, text)
      break
    case 'response.reasoning_summary_text.done':
    case 'response.reasoning_text.done':
      complete(state, thought)
      break
    case 'response.output_item.done':
      completeItem(state, item, objectOf(data.item))
      break
    case 'response.completed':
    case 'response.incomplete':
      finish(state, objectOf(data.response))
      break
    case 'response.failed':
      breakOff(state, providerStreamError('messages', objectOf(data.response)))
      break
    case 'error':
      breakOff(state, providerStreamError('messages', data))
      break
    default:
  }
}

function start(state: MessagesFromResponsesState, response: Json): void {
  if (state.hasStarted) return
  state.hasStarted = true
  push(state, {
    type: 'message_start',
    message: {
      id: textOf(response.id) || `msg_${state.context.id}`,
      type: 'message',
      role: 'assistant',
      model: textOf(response.model) || state.context.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: toMessagesUsage(NO_USAGE),
    },
  })
}

function addItem(state: MessagesFromResponsesState, outputIndex: unknown, item: Json): void {
  if (item.type !== 'function_call') return // other items open a block with their first text
  const block = newBlock(state, `${outputIndex}:call`, 'tool', item)
  // OpenAI begins with empty arguments; some servers send all of them here and no deltas.
  writeTo(state, block, textOf(item.arguments))
}

function newBlock(state: MessagesFromResponsesState, key: string, kind: Block['kind'], item: Json): Block {
  const block: Block = {
    kind,
    id: textOf(item.call_id) || `tool_call_${state.blocks.size}`,
    name: textOf(item.name),
    pending: [],
    hasContent: false,
    isComplete: false,
  }
  state.blocks.set(key, block)
  state.queue.push(block)
  pump(state)
  return block
}

function write(
  state: MessagesFromResponsesState,
  key: string,
  kind: 'text' | 'thinking',
  piece: string,
): void {
  if (piece === '') return
  writeTo(state, state.blocks.get(key) ?? newBlock(state, key, kind, {}), piece)
}

/** Without its item a call has no name: then all of it comes with the item's end. */
function writeArguments(state: MessagesFromResponsesState, key: string, piece: string): void {
  const block = state.blocks.get(key)
  if (block !== undefined) writeTo(state, block, piece)
}

function writeTo(state: MessagesFromResponsesState, block: Block, piece: string): void {
  if (piece === '' || block.isComplete) return
  block.hasContent = true
  block.pending.push(piece)
  pump(state)
}

function complete(state: MessagesFromResponsesState, key: string): void {
  const block = state.blocks.get(key)
  if (block === undefined) return
  block.isComplete = true
  pump(state)
}

/** Writes what the deltas left out (servers differ in what they stream), then ends the item's blocks. */
function completeItem(state: MessagesFromResponsesState, outputIndex: unknown, item: Json): void {
  switch (item.type) {
    case 'message':
      for (const [i, part] of arrayOf(item.content).map(objectOf).entries()) {
        if (part.type === 'refusal') state.hasRefusal = true
        fill(state, `${outputIndex}:text:${i}`, 'text', textOf(part.text) || textOf(part.refusal))
      }
      break
    case 'reasoning': {
      const summary = arrayOf(item.summary)
      for (const [i, part] of (summary.length > 0 ? summary : arrayOf(item.content))
        .map(objectOf)
        .entries()) {
        fill(state, `${outputIndex}:thinking:${i}`, 'thinking', textOf(part.text))
      }
      break
    }
    case 'function_call': {
      const key = `${outputIndex}:call`
      const block = state.blocks.get(key) ?? newBlock(state, key, 'tool', item)
      if (!block.hasContent) writeTo(state, block, textOf(item.arguments))
      complete(state, key)
      break
    }
    default: // the provider's own tools, which were not asked for
  }
}

function fill(
  state: MessagesFromResponsesState,
  key: string,
  kind: 'text' | 'thinking',
  whole: string,
): void {
  if (state.blocks.get(key)?.hasContent !== true) write(state, key, kind, whole)
  complete(state, key)
}

/** Sends all that may be sent now. */
function pump(state: MessagesFromResponsesState): void {
  for (;;) {
    const head = state.queue[0]
    if (head === undefined) return
    if (!state.headIsOpen) open(state, head)
    sendPending(state, head)
    if (!head.isComplete) return
    close(state)
  }
}

function open(state: MessagesFromResponsesState, block: Block): void {
  start(state, {})
  push(state, { type: 'content_block_start', index: state.opened, content_block: emptyBlock(block) })
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
      return { type: 'tool_use', id: block.id, name: block.name, input: {} }
  }
}

function sendPending(state: MessagesFromResponsesState, block: Block): void {
  if (block.pending.length === 0) return
  const delta = blockDelta(block, block.pending.join(''))
  block.pending = []
  push(state, { type: 'content_block_delta', index: state.opened - 1, delta })
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

function close(state: MessagesFromResponsesState): void {
  push(state, { type: 'content_block_stop', index: state.opened - 1 })
  state.queue.shift()
  state.headIsOpen = false
}

function finish(state: MessagesFromResponsesState, response: Json): void {
  start(state, response)
  // Servers that stream nothing but the end.
  if (state.blocks.size === 0) {
    for (const [i, item] of arrayOf(response.output).map(objectOf).entries()) completeItem(state, i, item)
  }
  for (const block of state.queue) block.isComplete = true
  pump(state)
  push(state, {
    type: 'message_delta',
    delta: {
      stop_reason: messageStopReason(response, {
        hasToolCalls: [...state.blocks.values()].some((block) => block.kind === 'tool'),
        hasRefusal: state.hasRefusal,
      }),
      stop_sequence: null,
    },
    usage: toMessagesUsage(
      usageOfResponses(objectOf(response.usage)),
      messagesServiceTier(response.service_tier),
    ),
  })
  push(state, { type: 'message_stop' })
  state.phase = 'finished'
}

function breakOff(state: MessagesFromResponsesState, body: Json): void {
  state.phase = 'failed'
  state.events.push({ event: 'error', data: JSON.stringify(body) })
}
