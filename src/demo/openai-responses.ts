/**
 * POST /v1/responses as OpenAI answers it, with the whole sequence of its streamed events.
 * https://platform.openai.com/docs/api-reference/responses-streaming
 *
 * A stream of this API has no `[DONE]`: it ends with `response.completed`, `.incomplete` or `.failed`.
 */
import type { Usage } from '../core/usage.ts'
import type { Answer, Frame } from './answer.ts'
import { chatToolCallId, obfuscation, responsesId } from './ids.ts'
import { cachedTokens } from './openai-chat.ts'
import { checkModel, snapshotOf } from './openai-models.ts'
import {
  type InputItem,
  isCall,
  isCallOutput,
  itemsOf,
  parseResponsesRequest,
  type ResponsesRequest,
} from './openai-responses-request.ts'
import { type Ask, composeReply, EFFORT_TOKENS, pieces, type Reply } from './reply.ts'
import type { Script } from './script.ts'
import { requestTokens, spread } from './tokens.ts'
import { isJson } from './wire-json.ts'

export function answerResponses(body: unknown, script: Script): Answer {
  const request = parseResponsesRequest(body)
  checkModel(request.model)
  const reply = composeReply(askOf(request), script)
  const base = envelope(request)
  const items = itemsFor(reply, request)
  const stream = request.stream === true
  return {
    model: request.model,
    responseModel: base.model,
    status: 200,
    headers: { 'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json' },
    body: stream
      ? { kind: 'stream', ...streamOf({ request, reply, script, base, items }) }
      : { kind: 'unary', text: `${JSON.stringify(finished(base, reply, items, script), null, 2)}\n` },
    usage: reply.usage,
  }
}

type Envelope = ReturnType<typeof envelope>

/** The response before anything has been generated. */
function envelope(request: ResponsesRequest) {
  return {
    id: responsesId('resp'),
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    status: 'in_progress',
    background: request.background ?? false,
    completed_at: null as number | null,
    error: null as unknown,
    incomplete_details: null as unknown,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: request.max_tool_calls ?? null,
    model: snapshotOf(request.model),
    output: [] as unknown[],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    prompt_cache_key: request.prompt_cache_key ?? null,
    prompt_cache_retention: request.prompt_cache_retention ?? null,
    reasoning: { effort: request.reasoning?.effort ?? null, summary: request.reasoning?.summary ?? null },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: request.stream === true ? 'auto' : 'default',
    store: request.store ?? true,
    temperature: request.temperature ?? 1,
    text: {
      format: request.text?.format ?? { type: 'text' },
      verbosity: request.text?.verbosity ?? 'medium',
    },
    tool_choice: request.tool_choice ?? 'auto',
    tools: request.tools ?? [],
    top_logprobs: request.top_logprobs ?? 0,
    top_p: request.top_p ?? 1,
    truncation: request.truncation ?? 'disabled',
    usage: null as unknown,
    user: request.user ?? null,
    metadata: request.metadata ?? {},
  }
}

function responsesUsage(usage: Usage) {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: {
      cache_write_tokens: usage.cacheWriteTokens,
      cached_tokens: usage.cacheReadTokens,
    },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
  }
}

/** `finishReason` is this API's status: `completed`, `incomplete`, `failed`. */
function finished(base: Envelope, reply: Reply, items: readonly Item[], script: Script) {
  const status = script.finishReason ?? (reply.finish === 'length' ? 'incomplete' : 'completed')
  return {
    ...base,
    status,
    completed_at: status === 'completed' ? Math.floor(Date.now() / 1000) : null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    output: items.map((item) => whole(item)),
    service_tier: 'default',
    usage: script.fault === 'missing-usage' ? null : responsesUsage(reply.usage),
  }
}

type Item =
  | { readonly kind: 'reasoning'; readonly id: string; readonly summary: string }
  | { readonly kind: 'message'; readonly id: string; readonly text: string; readonly status: string }
  | {
      readonly kind: 'call'
      readonly id: string
      readonly callId: string
      readonly name: string
      readonly json: string
    }

function itemsFor(reply: Reply, request: ResponsesRequest): Item[] {
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

const textPart = (text: string) => ({ type: 'output_text', annotations: [], logprobs: [], text })
const summaryPart = (text: string) => ({ type: 'summary_text', text })

function whole(item: Item): Record<string, unknown> {
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

function begun(item: Item): Record<string, unknown> {
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

interface Streaming {
  readonly request: ResponsesRequest
  readonly reply: Reply
  readonly script: Script
  readonly base: Envelope
  readonly items: readonly Item[]
}

/** One event; a delta that says what it carries. */
interface Step {
  readonly event: Record<string, unknown> & { readonly type: string }
  readonly carries: 'nothing' | 'reasoning' | 'output'
}

function streamOf(streaming: Streaming): { frames: Frame[]; failure: string } {
  const { request, reply, script, base, items } = streaming
  const steps = items.flatMap((item, index) => stepsOf(item, index, script))
  const final = finished(base, reply, items, script)
  const obfuscated = request.stream_options?.include_obfuscation !== false
  const frames: Frame[] = []
  const costs = stepCosts(steps, reply.usage)

  function add(kind: Frame['kind'], { type, ...rest }: Step['event'], outputTokens = 0, reasoningTokens = 0) {
    const event = {
      type,
      sequence_number: frames.length,
      ...rest,
      ...(kind === 'delta' && obfuscated && { obfuscation: obfuscation(2 + (frames.length % 13)) }),
    }
    frames.push({ text: sse(event), kind, outputTokens, reasoningTokens })
  }

  add('event', { type: 'response.created', response: base })
  add('event', { type: 'response.in_progress', response: base })
  for (const [index, step] of steps.entries()) {
    const cost = costs[index] ?? { output: 0, reasoning: 0 }
    add(step.carries === 'nothing' ? 'event' : 'delta', step.event, cost.output, cost.reasoning)
  }
  // What no delta carried is known at the end: an answer without content.
  const left = reply.usage.outputTokens - costs.reduce((sum, cost) => sum + cost.output, 0)
  const ending = final.status === 'incomplete' || final.status === 'failed' ? final.status : 'completed'
  add('event', { type: `response.${ending}`, response: final }, left)
  return { frames, failure: failureOf(base, frames.length) }
}

const sse = (event: { readonly type: string }) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

function failureOf(base: Envelope, sequence: number): string {
  const message = 'The server had an error while processing your request. Sorry about that!'
  const failed = { ...base, status: 'failed', error: { code: 'server_error', message } }
  return (
    sse({ type: 'error', sequence_number: sequence, code: 'server_error', message, param: null } as {
      type: string
    }) + sse({ type: 'response.failed', sequence_number: sequence + 1, response: failed } as { type: string })
  )
}

function stepsOf(item: Item, output_index: number, script: Script): Step[] {
  const quiet = (type: string, rest: object): Step => ({ event: { type, ...rest }, carries: 'nothing' })
  const steps = [quiet('response.output_item.added', { output_index, item: begun(item) })]
  const at = { item_id: item.id, output_index }
  switch (item.kind) {
    case 'reasoning': {
      if (item.summary === '') break
      const place = { ...at, summary_index: 0 }
      steps.push(quiet('response.reasoning_summary_part.added', { ...place, part: summaryPart('') }))
      for (const delta of pieces(item.summary, script.chunks)) {
        steps.push({
          event: { type: 'response.reasoning_summary_text.delta', ...place, delta },
          carries: 'reasoning',
        })
      }
      steps.push(quiet('response.reasoning_summary_text.done', { ...place, text: item.summary }))
      steps.push(quiet('response.reasoning_summary_part.done', { ...place, part: summaryPart(item.summary) }))
      break
    }
    case 'message': {
      const place = { ...at, content_index: 0 }
      steps.push(quiet('response.content_part.added', { ...place, part: textPart('') }))
      for (const delta of pieces(item.text, script.chunks)) {
        steps.push({
          event: { type: 'response.output_text.delta', ...place, delta, logprobs: [] },
          carries: 'output',
        })
      }
      steps.push(quiet('response.output_text.done', { ...place, text: item.text, logprobs: [] }))
      steps.push(quiet('response.content_part.done', { ...place, part: textPart(item.text) }))
      break
    }
    case 'call':
      for (const delta of pieces(item.json, script.chunks)) {
        steps.push({
          event: { type: 'response.function_call_arguments.delta', ...at, delta },
          carries: 'output',
        })
      }
      steps.push(quiet('response.function_call_arguments.done', { ...at, arguments: item.json }))
      break
    default:
      item satisfies never
  }
  steps.push(quiet('response.output_item.done', { output_index, item: whole(item) }))
  return steps
}

/** Reasoning is paid with its summary; where none is shown, when its item begins. */
function stepCosts(steps: readonly Step[], usage: Usage) {
  const shown = steps.filter((step) => step.carries === 'reasoning').length
  const thought = spread(usage.reasoningTokens, Math.max(shown, 1))
  const said = spread(
    usage.outputTokens - usage.reasoningTokens,
    steps.filter((step) => step.carries === 'output').length,
  )
  let thoughts = 0
  let sayings = 0
  return steps.map((step, index) => {
    const thinks = shown > 0 ? step.carries === 'reasoning' : index === 0
    const reasoning = thinks ? (thought[thoughts++] ?? 0) : 0
    return { output: reasoning + (step.carries === 'output' ? (said[sayings++] ?? 0) : 0), reasoning }
  })
}

function askOf(request: ResponsesRequest): Ask {
  const items = itemsOf(request)
  const { tool_choice: choice = 'auto', text } = request
  const lastUser = items.findLast((item) => 'role' in item && item.role === 'user')
  const last = items.at(-1)
  const inputTokens = requestTokens({
    messages: items.map(itemText),
    system: request.instructions ?? '',
    tools: request.tools,
    attachments: items.reduce((sum, item) => sum + attachments(item), 0),
  })
  return {
    inputTokens,
    cacheReadTokens: cachedTokens(inputTokens, request.prompt_cache_key),
    cacheWriteTokens: 0,
    lastUserText: lastUser === undefined ? '' : itemText(lastUser),
    answersTools: last !== undefined && isCallOutput(last),
    tools: (request.tools ?? []).flatMap((tool) =>
      tool.type === 'function' && typeof tool.name === 'string'
        ? [{ name: tool.name, schema: tool.parameters }]
        : [],
    ),
    toolChoice:
      typeof choice === 'string' ? choice : typeof choice.name === 'string' ? { name: choice.name } : 'auto',
    parallelTools: request.parallel_tool_calls !== false,
    json:
      text?.format?.type === 'json_object'
        ? true
        : text?.format?.type === 'json_schema'
          ? text.format.schema
          : undefined,
    maxTokens: request.max_output_tokens ?? undefined,
    stopSequences: [],
    reasoningTokens: EFFORT_TOKENS[request.reasoning?.effort ?? 'none'] ?? 0,
  }
}

function partsText(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: unknown) => (isJson(part) && typeof part.text === 'string' ? part.text : ''))
    .join('')
}

function itemText(item: InputItem): string {
  if (isCall(item)) return item.name + item.arguments
  if (isCallOutput(item)) return partsText(item.output)
  return 'content' in item ? partsText(item.content) : ''
}

function attachments(item: InputItem): number {
  if (!('content' in item) || !Array.isArray(item.content)) return 0
  return item.content.filter((part) => part.type === 'input_image' || part.type === 'input_file').length
}
