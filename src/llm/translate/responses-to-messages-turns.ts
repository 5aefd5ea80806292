/**
 * The items of a Responses conversation as messages' system prompt and turns.
 *
 * Anthropic wants user and assistant to alternate, and the results of a turn's tool calls at the head of the next
 * user turn: so neighbours of one role are merged, and results move to the front.
 */
import type { ImageBlock, TextBlock, ToolResultBlock, ToolUseBlock } from '../wire/anthropic-messages.ts'
import { imageSourceAt } from './images.ts'
import { type DroppedFields, fail } from './request-values.ts'
import type { ConversationItem, InputPart, OutputItem } from './responses-input.ts'
import { parseToolArguments } from './tool-arguments.ts'

interface DocumentBlock {
  readonly type: 'document'
  readonly source:
    | { readonly type: 'base64'; readonly media_type: string; readonly data: string }
    | { readonly type: 'text'; readonly media_type: 'text/plain'; readonly data: string }
    | { readonly type: 'url'; readonly url: string }
  readonly title?: string
}

type ShownBlock = TextBlock | ImageBlock | DocumentBlock

type ResultBlock = Omit<ToolResultBlock, 'content'> & {
  readonly content?: string | readonly ShownBlock[]
  readonly is_error?: true
}

export type Turn =
  | { readonly role: 'user'; readonly content: (ShownBlock | ResultBlock)[] }
  | { readonly role: 'assistant'; readonly content: (TextBlock | ToolUseBlock)[] }

export interface Conversation {
  readonly system: string
  readonly turns: readonly Turn[]
}

export function conversationOf(
  instructions: string | undefined,
  items: readonly ConversationItem[],
  dropped: DroppedFields,
): Conversation {
  const system: string[] = instructions ? [instructions] : []
  const turns: Turn[] = []

  function addUser(blocks: readonly (ShownBlock | ResultBlock)[]): void {
    if (blocks.length === 0) return
    const last = turns.at(-1)
    if (last?.role === 'user') last.content.push(...blocks)
    else turns.push({ role: 'user', content: [...blocks] })
  }

  function addAssistant(blocks: readonly (TextBlock | ToolUseBlock)[]): void {
    if (blocks.length === 0) return
    const last = turns.at(-1)
    if (last?.role === 'assistant') last.content.push(...blocks)
    else turns.push({ role: 'assistant', content: [...blocks] })
  }

  for (const item of items) {
    switch (item.type) {
      case 'message':
        if (item.role === 'user') addUser(item.parts.flatMap((part) => shownBlocks(part, dropped)))
        else if (item.role === 'assistant') addAssistant(item.parts.flatMap(textBlocks))
        else system.push(...item.parts.flatMap(textBlocks).map((block) => block.text))
        break
      case 'call':
        addAssistant([
          {
            type: 'tool_use',
            id: item.callId,
            name: item.name,
            input: parseToolArguments(item.arguments),
          },
        ])
        break
      case 'output':
        addUser([resultBlock(item, dropped)])
        break
      default:
        item satisfies never
    }
  }
  for (const turn of turns) if (turn.role === 'user') resultsFirst(turn.content)
  return { system: system.join('\n'), turns }
}

function resultsFirst(content: (ShownBlock | ResultBlock)[]): void {
  const isResult = (block: ShownBlock | ResultBlock) => block.type === 'tool_result'
  if (!content.some(isResult)) return
  content.sort((a, b) => Number(isResult(b)) - Number(isResult(a)))
}

/** The API refuses empty text; leaving it out loses nothing. */
function textBlocks(part: InputPart): TextBlock[] {
  if (!('text' in part)) return fail(part.place, "only a user's message and a tool's output may hold this")
  return part.text === '' ? [] : [{ type: 'text', text: part.text }]
}

function resultBlock(item: OutputItem, dropped: DroppedFields): ResultBlock {
  const blocks = item.parts.flatMap((part) => shownBlocks(part, dropped))
  const [first] = blocks
  const content = blocks.length === 1 && first?.type === 'text' ? first.text : blocks
  return {
    type: 'tool_result',
    tool_use_id: item.callId,
    ...(content.length > 0 && { content }),
    ...(item.isIncomplete && { is_error: true }),
  }
}

function shownBlocks(part: InputPart, dropped: DroppedFields): ShownBlock[] {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return textBlocks(part)
    case 'image':
      if (part.detail !== undefined && part.detail !== 'auto') dropped.add(`${part.place}.detail`)
      return [{ type: 'image', source: imageSourceAt(part.url, `${part.place}.image_url`) }]
    case 'file':
      return [documentBlock(part)]
    case 'audio':
      return fail(part.place, 'the provider takes no audio')
    default:
      return part satisfies never
  }
}

const DATA_URL = /^data:(application\/pdf|text\/plain)(?:;charset=[^;,]*)?;base64,/i

function documentBlock(part: Extract<InputPart, { type: 'file' }>): DocumentBlock {
  const title = part.filename === undefined ? {} : { title: part.filename }
  if (part.data === undefined) {
    const url = part.url ?? ''
    if (!/^https?:\/\//i.test(url)) return fail(`${part.place}.file_url`, 'expected an http(s) URL')
    return { type: 'document', source: { type: 'url', url }, ...title }
  }
  const place = `${part.place}.file_data`
  const match = DATA_URL.exec(part.data)
  if (match === null) return fail(place, 'expected a data URL in base64 of application/pdf or text/plain')
  const [prefix, mediaType = ''] = match
  const data = part.data.slice(prefix.length)
  if (mediaType.toLowerCase() === 'application/pdf') {
    return { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data }, ...title }
  }
  return {
    type: 'document',
    source: { type: 'text', media_type: 'text/plain', data: decodeText(data, place) },
    ...title,
  }
}

function decodeText(base64: string, place: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)))
  } catch {
    return fail(place, 'expected base64')
  }
}
