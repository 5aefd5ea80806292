/**
 * An answer in the Responses format while it grows: its items, and the response object that shows them.
 *
 * Text is kept in pieces and joined when an item is shown for the first time, so that a megabyte of arguments in
 * small deltas costs linear time. The response does not repeat the request's parameters as OpenAI's does: a
 * translation keeps nothing of the request.
 */
import type { Usage } from '../../core/usage.ts'
import type {
  IncompleteReason,
  ItemStatus,
  OutputItem,
  ResponsesError,
  ResponsesEventBody,
  ResponsesResponse,
  UrlCitation,
} from '../wire/openai-responses.ts'
import { toResponsesUsage } from './responses-usage.ts'
import type { TranslationContext } from './translation.ts'

export interface TextPart {
  readonly kind: 'text'
  readonly pieces: string[]
  readonly annotations: UrlCitation[]
  readonly logprobs: unknown[]
}

export interface RefusalPart {
  readonly kind: 'refusal'
  readonly pieces: string[]
}

interface Item {
  readonly id: string
  readonly outputIndex: number
  status: ItemStatus
}

export interface MessageInProgress extends Item {
  readonly kind: 'message'
  readonly parts: (TextPart | RefusalPart)[]
}

export interface ReasoningInProgress extends Item {
  readonly kind: 'reasoning'
  readonly pieces: string[]
}

export interface CallInProgress extends Item {
  readonly kind: 'call'
  readonly callId: string
  /** As the client knows it. */
  readonly name: string
  readonly isCustom: boolean
  /** JSON text; of a custom call, once it is closed, its bare input. */
  readonly pieces: string[]
}

export type ItemInProgress = MessageInProgress | ReasoningInProgress | CallInProgress

export interface Answer {
  /** Random; the ids of items are made from it. */
  readonly seed: string
  readonly createdAt: number
  id: string
  model: string
  serviceTier: string | null
  usage: Usage | undefined
  status: ResponsesResponse['status']
  incompleteReason: IncompleteReason | undefined
  error: ResponsesError | null
  /** Each at its `output_index`. */
  readonly items: ItemInProgress[]
  /** The one item of text that is still being written. */
  speech: MessageInProgress | ReasoningInProgress | undefined
  readonly callIds: Set<string>
  hasBegun: boolean
  nextSequence: number
  /** Events that nobody took yet. */
  events: (ResponsesEventBody & { readonly sequence_number: number })[]
}

export function newAnswer(context: TranslationContext): Answer {
  return {
    seed: context.id,
    createdAt: context.now,
    id: `resp_${context.id}`,
    model: context.model,
    serviceTier: null,
    usage: undefined,
    status: 'in_progress',
    incompleteReason: undefined,
    error: null,
    items: [],
    speech: undefined,
    callIds: new Set(),
    hasBegun: false,
    nextSequence: 0,
    events: [],
  }
}

export function joined(pieces: string[]): string {
  if (pieces.length > 1) pieces.splice(0, pieces.length, pieces.join(''))
  return pieces[0] ?? ''
}

export function contentPart(part: TextPart | RefusalPart) {
  return part.kind === 'text'
    ? ({
        type: 'output_text',
        text: joined(part.pieces),
        annotations: part.annotations,
        logprobs: part.logprobs,
      } as const)
    : ({ type: 'refusal', refusal: joined(part.pieces) } as const)
}

export function outputItem(item: ItemInProgress): OutputItem {
  const { id, status } = item
  switch (item.kind) {
    case 'message':
      return { type: 'message', id, status, role: 'assistant', content: item.parts.map(contentPart) }
    case 'reasoning':
      return {
        type: 'reasoning',
        id,
        status,
        summary: item.pieces.length > 0 ? [{ type: 'summary_text', text: joined(item.pieces) }] : [],
      }
    case 'call': {
      const { callId: call_id, name } = item
      const text = joined(item.pieces)
      return item.isCustom
        ? { type: 'custom_tool_call', id, status, call_id, name, input: text }
        : { type: 'function_call', id, status, call_id, name, arguments: text }
    }
    default:
      return item satisfies never
  }
}

export function responseOf(answer: Answer): ResponsesResponse {
  return {
    id: answer.id,
    object: 'response',
    created_at: answer.createdAt,
    status: answer.status,
    background: false,
    error: answer.error,
    incomplete_details: answer.incompleteReason === undefined ? null : { reason: answer.incompleteReason },
    instructions: null,
    max_output_tokens: null,
    metadata: {},
    model: answer.model,
    output: answer.items.map(outputItem),
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: answer.serviceTier,
    store: false,
    temperature: null,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    truncation: 'disabled',
    usage: answer.usage === undefined ? null : toResponsesUsage(answer.usage),
  }
}
