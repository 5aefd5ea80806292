/** The events of a Responses stream as the events of a messages stream. */
import type { SseEvent } from '../../core/sse.ts'
import { errorBody } from '../error-body.ts'
import {
  addBlock,
  type Block,
  type BlockQueue,
  blockQueue,
  completeAll,
  completeBlock,
  writeToBlock,
} from './messages-block-queue.ts'
import { messageStopReason } from './messages-to-responses-response.ts'
import { ENDED_EARLY, providerStreamError } from './provider-errors.ts'
import { arrayOf, eventData, objectOf, textOf } from './reply-values.ts'
import type { Json } from './request-values.ts'
import { usageOfResponses } from './responses-usage.ts'
import { messagesServiceTier, NO_USAGE, toMessagesUsage } from './token-usage.ts'
import type { StreamStep, TranslationContext } from './translation.ts'

export interface MessagesFromResponsesState {
  readonly context: TranslationContext
  phase: 'open' | 'finished' | 'failed'
  hasStarted: boolean
  /** Every block there was, by the item and part that it shows: `0:call`, `1:text:0`. */
  readonly blocks: Map<string, Block>
  readonly queue: BlockQueue
  hasRefusal: boolean
  /** The error, if that is how it ended: the last event. */
  error: Json | undefined
}

export const messagesFromResponsesStream: StreamStep<MessagesFromResponsesState> = {
  start: (context) => ({
    context,
    phase: 'open',
    hasStarted: false,
    blocks: new Map(),
    queue: blockQueue(),
    hasRefusal: false,
    error: undefined,
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
  const events: SseEvent[] = state.queue.events
    .splice(0)
    .map((event) => ({ event: event.type, data: JSON.stringify(event) }))
  if (state.error !== undefined) events.push({ event: 'error', data: JSON.stringify(state.error) })
  state.error = undefined
  return events
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
  state.queue.events.push({
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
  writeToBlock(state.queue, block, textOf(item.arguments))
}

function newBlock(state: MessagesFromResponsesState, key: string, kind: Block['kind'], item: Json): Block {
  start(state, {})
  const id = textOf(item.call_id) || `tool_call_${state.blocks.size}`
  const block = addBlock(state.queue, kind, id, textOf(item.name))
  state.blocks.set(key, block)
  return block
}

function write(
  state: MessagesFromResponsesState,
  key: string,
  kind: 'text' | 'thinking',
  piece: string,
): void {
  if (piece === '') return
  writeToBlock(state.queue, state.blocks.get(key) ?? newBlock(state, key, kind, {}), piece)
}

/** Without its item a call has no name: then all of it comes with the item's end. */
function writeArguments(state: MessagesFromResponsesState, key: string, piece: string): void {
  const block = state.blocks.get(key)
  if (block !== undefined) writeToBlock(state.queue, block, piece)
}

function complete(state: MessagesFromResponsesState, key: string): void {
  const block = state.blocks.get(key)
  if (block !== undefined) completeBlock(state.queue, block)
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
      if (!block.hasContent) writeToBlock(state.queue, block, textOf(item.arguments))
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

function finish(state: MessagesFromResponsesState, response: Json): void {
  start(state, response)
  // Servers that stream nothing but the end.
  if (state.blocks.size === 0) {
    for (const [i, item] of arrayOf(response.output).map(objectOf).entries()) completeItem(state, i, item)
  }
  completeAll(state.queue)
  state.queue.events.push({
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
  state.queue.events.push({ type: 'message_stop' })
  state.phase = 'finished'
}

function breakOff(state: MessagesFromResponsesState, body: Json): void {
  state.phase = 'failed'
  state.error = body
}
