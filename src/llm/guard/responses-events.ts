/**
 * A stream of the responses API, guarded. Its texts come in pieces, and then again whole: the pieces go through a
 * stream each, the whole ones are guarded anew, with the same result. Events are numbered anew, for some are held and
 * some come in between.
 */
import type { EventGuard, Open } from './event-guard.ts'
import type { TextStream } from './text-stream.ts'
import { type Edit, isObject, type Json, partIn, responsesAnswer, responsesItem } from './texts.ts'

interface Channel {
  readonly stream: TextStream
  readonly last: Json
}

/** `<name>.delta` has a piece in `delta`, `<name>.done` all of it in this field. */
const TEXTS = new Map([
  ['response.output_text', { field: 'text', scope: 'messages', kind: 'text' }],
  ['response.refusal', { field: 'refusal', scope: 'messages', kind: 'text' }],
  ['response.reasoning_text', { field: 'text', scope: 'messages', kind: 'text' }],
  ['response.reasoning_summary_text', { field: 'text', scope: 'messages', kind: 'text' }],
  ['response.function_call_arguments', { field: 'arguments', scope: 'toolInput', kind: 'json' }],
  ['response.mcp_call_arguments', { field: 'arguments', scope: 'toolInput', kind: 'json' }],
  ['response.code_interpreter_call_code', { field: 'code', scope: 'toolInput', kind: 'text' }],
  ['response.custom_tool_call_input', { field: 'input', scope: 'toolInput', kind: 'text' }],
] as const)

export function responsesEvents(open: Open, edit: Edit): EventGuard {
  const channels = new Map<string, Channel>()
  const item = responsesItem(edit, true)
  const part = partIn(edit, 'messages')
  const answer = responsesAnswer(edit)
  let sequence: number | undefined

  function numbered(event: Json): Json {
    if (typeof event.sequence_number !== 'number') return event
    sequence = sequence === undefined ? event.sequence_number : sequence + 1
    return { ...event, sequence_number: sequence }
  }

  function finish(key: string): Json[] {
    const channel = channels.get(key)
    channels.delete(key)
    const rest = channel?.stream.advance('', true) ?? ''
    return channel === undefined || rest === '' ? [] : [{ ...channel.last, delta: rest }]
  }

  const end = () => [...channels.keys()].flatMap(finish)

  function step(event: Json): Json[] {
    const [, name = '', stage] = /^(.*)\.(delta|done)$/.exec(String(event.type)) ?? []
    const text = TEXTS.get(name as 'response.output_text')
    if (text === undefined) return whole(event)
    const { field, scope, kind } = text
    const { item_id, output_index, content_index, summary_index, logprobs } = event
    // Some servers give an item another id in each event; its place is always the same.
    const key = [name, output_index ?? item_id, content_index, summary_index].join(' ')
    const unspelled = { ...event, ...(logprobs !== undefined && { logprobs: [] }) }
    if (stage === 'done') {
      const said = event[field]
      const guarded = typeof said === 'string' ? edit(scope, kind, said) : said
      return [...finish(key), { ...unspelled, [field]: guarded }]
    }
    const stream = channels.get(key)?.stream ?? open(scope, kind)
    channels.set(key, { stream, last: unspelled })
    const released = stream.advance(String(event.delta ?? ''), false)
    return released === '' ? [] : [{ ...unspelled, delta: released }]
  }

  function whole(event: Json): Json[] {
    if (isObject(event.part)) return [{ ...event, part: part(event.part) }]
    if (isObject(event.item)) return [{ ...event, item: item(event.item) }]
    const isOver = /^(?:error|response\.(?:completed|incomplete|failed))$/.test(String(event.type))
    const guarded = isObject(event.response) ? { ...event, response: answer(event.response) } : event
    return [...(isOver ? end() : []), guarded]
  }

  return { end: () => end().map(numbered), step: (event) => step(event).map(numbered) }
}
