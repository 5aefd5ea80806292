/** The items of a response: reasoning, a message, calls of tools; as they begin and as they end. */
import { chatToolCallId, responsesId } from './ids.ts'
import type { ResponsesRequest } from './openai-responses-request.ts'
import type { Reply } from './reply.ts'

export type Item =
  | { readonly kind: 'reasoning'; readonly id: string; readonly summary: string }
  | { readonly kind: 'message'; readonly id: string; readonly text: string; readonly status: string }
  | {
      readonly kind: 'call'
      readonly id: string
      readonly callId: string
      readonly name: string
      readonly json: string
    }

export function itemsFor(reply: Reply, request: ResponsesRequest): Item[] {
  const items: Item[] = []
  if (reply.usage.reasoningTokens > 0 || reply.reasoning !== '') {
    const shown = request.reasoning?.summary != null || request.reasoning?.generate_summary != null
    items.push({ kind: 'reasoning', id: responsesId('rs'), summary: shown ? reply.reasoning : '' })
  }
  if (reply.text !== '') {
    const status = reply.finish === 'length' ? 'incomplete' : 'completed'
    items.push({ kind: 'message', id: responsesId('msg'), text: reply.text, status })
  }
  for (const call of reply.toolCalls) {
    items.push({
      kind: 'call',
      id: responsesId('fc'),
      callId: chatToolCallId(),
      name: call.name,
      json: call.arguments,
    })
  }
  return items
}

export const textPart = (text: string) => ({ type: 'output_text', annotations: [], logprobs: [], text })
export const summaryPart = (text: string) => ({ type: 'summary_text', text })

export function whole(item: Item): Record<string, unknown> {
  switch (item.kind) {
    case 'reasoning':
      return {
        id: item.id,
        type: 'reasoning',
        summary: item.summary === '' ? [] : [summaryPart(item.summary)],
      }
    case 'message':
      return {
        id: item.id,
        type: 'message',
        status: item.status,
        content: [textPart(item.text)],
        role: 'assistant',
      }
    case 'call':
      return {
        id: item.id,
        type: 'function_call',
        status: 'completed',
        arguments: item.json,
        call_id: item.callId,
        name: item.name,
      }
    default:
      return item satisfies never
  }
}

export function begun(item: Item): Record<string, unknown> {
  switch (item.kind) {
    case 'reasoning':
      return { id: item.id, type: 'reasoning', summary: [] }
    case 'message':
      return { id: item.id, type: 'message', status: 'in_progress', content: [], role: 'assistant' }
    case 'call':
      return {
        id: item.id,
        type: 'function_call',
        status: 'in_progress',
        arguments: '',
        call_id: item.callId,
        name: item.name,
      }
    default:
      return item satisfies never
  }
}
