/** The events of a messages stream as the events of a Responses stream. Nothing is completed before `message_stop`. */
import type { SseEvent } from '../../core/sse.ts'
import { errorBody } from '../error-body.ts'
import { finishReason } from './finish-reasons.ts'
import { ENDED_EARLY, providerStreamError } from './provider-errors.ts'
import { eventData, jsonTextOf, objectOf, textOf } from './reply-values.ts'
import type { Json } from './request-values.ts'
import { type Answer, type CallInProgress, newAnswer } from './responses-answer.ts'
import {
  begin,
  closeCall,
  closeSpeech,
  failAnswer,
  finish,
  openCall,
  takeEvents,
  writeArguments,
  writeReasoning,
  writeText,
} from './responses-event-writer.ts'
import { incompleteReason } from './responses-to-chat-stream.ts'
import { chatServiceTier, usageOfMessages } from './token-usage.ts'
import type { StreamStep } from './translation.ts'

interface ToolBlock {
  readonly index: unknown
  readonly call: CallInProgress
  /** What the block began with: some servers send the whole input there, and no deltas. */
  readonly input: Json
}

export interface ResponsesFromMessagesState {
  readonly answer: Answer
  /**
   * The last tool block, until another block begins: a call that `max_tokens` cuts off ends like any other block, and
   * only the stop reason tells that it is not whole.
   */
  tool: ToolBlock | undefined
  /** Anthropic's fields as last reported. */
  readonly usage: Json
  stopReason: unknown
  isOver: boolean
}

export const responsesFromMessagesStream: StreamStep<ResponsesFromMessagesState> = {
  start: (context) => ({
    answer: newAnswer(context),
    tool: undefined,
    usage: {},
    stopReason: undefined,
    isOver: false,
  }),
  step: (state, event) => {
    if (!state.isOver) translate(state, event)
    return [state, takeEvents(state.answer)]
  },
  end: (state) => {
    if (!state.isOver) breakOff(state, errorBody('responses', 502, ENDED_EARLY, null))
    return takeEvents(state.answer)
  },
}

function translate(state: ResponsesFromMessagesState, event: SseEvent): void {
  const { answer } = state
  if (event.event === 'ping' || event.data === '[DONE]') return
  const data = eventData(event)
  switch (data.type ?? event.event) {
    case 'message_start': {
      const message = objectOf(data.message)
      noteFacts(answer, message)
      noteUsage(state, objectOf(message.usage))
      begin(answer)
      break
    }
    case 'content_block_start':
      begin(answer)
      startBlock(state, data.index, objectOf(data.content_block))
      break
    case 'content_block_delta':
      begin(answer)
      continueBlock(state, data.index, objectOf(data.delta))
      break
    case 'content_block_stop':
      stopBlock(state, data.index)
      break
    case 'message_delta':
      noteUsage(state, objectOf(data.usage))
      state.stopReason = objectOf(data.delta).stop_reason ?? state.stopReason
      break
    case 'message_stop':
      state.isOver = true
      finish(answer, incompleteReason(finishReason(state.stopReason)))
      break
    case 'error':
      breakOff(state, providerStreamError('responses', data))
      break
    default:
  }
}

function breakOff(state: ResponsesFromMessagesState, body: Json): void {
  state.isOver = true
  failAnswer(state.answer, body)
}

/** What `message_start` and a whole message say about themselves. */
export function noteFacts(answer: Answer, message: Json): void {
  if (answer.hasBegun) return
  answer.id = textOf(message.id) || answer.id
  answer.model = textOf(message.model) || answer.model
  answer.serviceTier = chatServiceTier(objectOf(message.usage).service_tier) ?? null
}

/** Counts are cumulative, and what an event does not name still stands. */
function noteUsage(state: ResponsesFromMessagesState, usage: Json): void {
  for (const key of Object.keys(usage)) {
    if (usage[key] !== undefined && usage[key] !== null) state.usage[key] = usage[key]
  }
  state.answer.usage = usageOfMessages(state.usage)
}

function startBlock(state: ResponsesFromMessagesState, index: unknown, block: Json): void {
  const { answer } = state
  if (state.tool !== undefined) closeCall(answer, state.tool.call, 'completed')
  state.tool = undefined
  switch (block.type) {
    case 'text':
      writeText(answer, textOf(block.text))
      break
    case 'thinking':
      writeReasoning(answer, textOf(block.thinking))
      break
    case 'tool_use': {
      const call = openCall(answer, textOf(block.id), textOf(block.name))
      state.tool = { index, call, input: objectOf(block.input) }
      break
    }
    default: // redacted thinking, the provider's own tools: the Responses API has no place for them
  }
}

function continueBlock(state: ResponsesFromMessagesState, index: unknown, delta: Json): void {
  const { answer, tool } = state
  switch (delta.type) {
    case 'text_delta':
      writeText(answer, textOf(delta.text))
      break
    case 'thinking_delta':
      writeReasoning(answer, textOf(delta.thinking))
      break
    case 'input_json_delta':
      if (tool !== undefined && tool.index === index) {
        writeArguments(answer, tool.call, textOf(delta.partial_json))
      }
      break
    default: // signatures and citations
  }
}

function stopBlock(state: ResponsesFromMessagesState, index: unknown): void {
  const { answer, tool } = state
  if (answer.speech?.kind === 'reasoning') closeSpeech(answer, 'completed')
  if (tool === undefined || tool.index !== index) return
  if (tool.call.pieces.length === 0 && Object.keys(tool.input).length > 0) {
    writeArguments(answer, tool.call, jsonTextOf(tool.input))
  }
}
