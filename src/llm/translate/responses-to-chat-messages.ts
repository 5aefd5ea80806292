/**
 * The items of a Responses conversation as chat messages.
 *
 * Chat completions wants the calls of one turn in one assistant message, and their outputs directly behind it; and
 * a tool message holds text only, so what a tool showed goes into a user message behind the last output.
 */
import type { ChatMessage, ChatTextPart, ChatToolCall } from '../wire/openai-chat.ts'
import { type DroppedFields, fail } from './request-values.ts'
import type { ConversationItem, InputPart, MessageItem, OutputItem } from './responses-input.ts'

/** Beyond what chat clients are answered with: details of images, and sound. */
type UserPart =
  | ChatTextPart
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string; readonly detail?: string } }
  | { readonly type: 'file'; readonly file: { readonly filename: string; readonly file_data: string } }
  | {
      readonly type: 'input_audio'
      readonly input_audio: { readonly data: string; readonly format: string }
    }

interface AssistantTurn {
  readonly texts: string[]
  readonly calls: ChatToolCall[]
}

type Message = ChatMessage | { readonly role: 'user'; readonly content: string | readonly UserPart[] }

export function chatMessages(
  instructions: string | undefined,
  items: readonly ConversationItem[],
  dropped: DroppedFields,
): readonly Message[] {
  const messages: (Message | AssistantTurn)[] = []
  if (instructions) messages.push({ role: 'developer', content: instructions })
  /** What tools showed, until the last output of the turn. */
  let shown: UserPart[] = []

  function flushShown(): void {
    if (shown.length > 0) messages.push({ role: 'user', content: shown })
    shown = []
  }

  function assistantTurn(): AssistantTurn {
    const last = messages.at(-1)
    if (last !== undefined && 'calls' in last) return last
    flushShown()
    const turn: AssistantTurn = { texts: [], calls: [] }
    messages.push(turn)
    return turn
  }

  for (const item of items) {
    switch (item.type) {
      case 'message': {
        if (item.role === 'assistant') {
          assistantTurn().texts.push(...textsOf(item.parts))
          break
        }
        flushShown()
        messages.push(plainMessage(item))
        break
      }
      case 'call':
        assistantTurn().calls.push({
          id: item.callId,
          type: 'function',
          function: { name: item.name, arguments: item.arguments },
        })
        break
      case 'output':
        messages.push(toolMessage(item))
        if (item.isIncomplete) dropped.add(`${item.place}.status`)
        shown.push(...shownParts(item))
        break
      default:
        item satisfies never
    }
  }
  flushShown()
  return messages.map((message) => ('calls' in message ? assistantMessage(message) : message))
}

function assistantMessage(turn: AssistantTurn): ChatMessage {
  const texts = turn.texts.filter((text) => text !== '')
  return {
    role: 'assistant',
    ...((texts.length > 0 || turn.calls.length === 0) && { content: contentOf(texts) }),
    ...(turn.calls.length > 0 && { tool_calls: turn.calls }),
  }
}

/** One text stands alone; several stay apart. */
function contentOf(texts: readonly string[]): string | readonly ChatTextPart[] {
  const [first = '', ...others] = texts
  return others.length === 0 ? first : texts.map((text) => ({ type: 'text', text }))
}

function plainMessage(item: MessageItem): Message {
  if (item.role === 'user') {
    const parts = item.parts.map(userPart)
    const [first = { type: 'text', text: '' }] = parts
    return { role: 'user', content: parts.length <= 1 && first.type === 'text' ? first.text : parts }
  }
  return {
    role: item.role === 'developer' ? 'developer' : 'system',
    content: contentOf(textsOf(item.parts)),
  }
}

function textsOf(parts: readonly InputPart[]): string[] {
  return parts.map((part) =>
    'text' in part ? part.text : fail(part.place, "only a user's message and a tool's output may hold this"),
  )
}

function userPart(part: InputPart): UserPart {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return { type: 'text', text: part.text }
    case 'image':
      return {
        type: 'image_url',
        image_url: { url: part.url, ...(part.detail !== undefined && { detail: part.detail }) },
      }
    case 'file':
      if (part.data === undefined) {
        return fail(`${part.place}.file_url`, 'the provider takes files as data only: send file_data')
      }
      return { type: 'file', file: { filename: part.filename ?? 'file', file_data: part.data } }
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.data, format: part.format } }
    default:
      return part satisfies never
  }
}

const SEE_BELOW = 'The output is in the following user message.'

function toolMessage(item: OutputItem): ChatMessage {
  const texts = item.parts.flatMap((part) => ('text' in part ? [part.text] : []))
  const hasMore = texts.length < item.parts.length
  return {
    role: 'tool',
    tool_call_id: item.callId,
    content: texts.length === 0 && hasMore ? SEE_BELOW : texts.join('\n'),
  }
}

function shownParts(item: OutputItem): UserPart[] {
  const parts = item.parts.filter((part) => !('text' in part))
  if (parts.length === 0) return []
  return [{ type: 'text', text: `Output of the tool call ${item.callId}:` }, ...parts.map(userPart)]
}
