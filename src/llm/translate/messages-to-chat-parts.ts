/**
 * Content blocks of messages as parts of chat completions.
 *
 * The two vocabularies differ most in tool results: OpenAI's hold text only. Whatever else a result holds goes
 * into a user message behind the results, and a line of text on both sides says what belongs together.
 */
import type {
  ChatFilePart,
  ChatImagePart,
  ChatTextPart,
  ChatToolMessage,
  ChatUserPart,
} from '../wire/openai-chat.ts'
import { imageUrlAt } from './images.ts'
import {
  booleanAt,
  type DroppedFields,
  fail,
  type Json,
  nameAt,
  objectAt,
  optional,
  partsAt,
  stringAt,
} from './request-values.ts'

/** Blocks that only the provider that wrote them can read. */
const PROVIDERS_OWN =
  /^(thinking|redacted_thinking|server_tool_use|mcp_tool_use|container_upload|\w+_tool_result)$/

export const isProvidersOwn = (type: unknown): type is string =>
  typeof type === 'string' && PROVIDERS_OWN.test(type)

export function textPart(block: Json, place: string, dropped: DroppedFields): ChatTextPart {
  const { type: _, text, ...rest } = block
  dropped.addRest(place, rest)
  return { type: 'text', text: stringAt(text, `${place}.text`) }
}

/** A block of a user's turn or of a tool result that is not itself a tool result. */
export function userPart(block: Json, place: string, dropped: DroppedFields): ChatUserPart {
  switch (block.type) {
    case 'text':
      return textPart(block, place, dropped)
    case 'image':
      return imagePart(block, place, dropped)
    case 'document':
      return documentPart(block, place, dropped)
    case 'search_result':
      return searchResultPart(block, place, dropped)
    default:
      return fail(`${place}.type`, 'expected text, image, document, search_result or tool_result')
  }
}

function imagePart(block: Json, place: string, dropped: DroppedFields): ChatImagePart {
  const { type: _, source, ...rest } = block
  dropped.addRest(place, rest)
  return { type: 'image_url', image_url: { url: imageUrlAt(source, `${place}.source`) } }
}

function documentPart(block: Json, place: string, dropped: DroppedFields): ChatTextPart | ChatFilePart {
  const { type: _, source, title, ...rest } = block
  dropped.addRest(place, rest)
  const from = objectAt(source, `${place}.source`)
  const name = optional(title, `${place}.title`, stringAt)
  switch (from.type) {
    case 'text': {
      const text = stringAt(from.data, `${place}.source.data`)
      return { type: 'text', text: name === undefined ? text : `${name}\n\n${text}` }
    }
    case 'base64': {
      const mediaType = nameAt(from.media_type, `${place}.source.media_type`)
      const data = nameAt(from.data, `${place}.source.data`)
      return {
        type: 'file',
        file: { filename: name ?? 'document.pdf', file_data: `data:${mediaType};base64,${data}` },
      }
    }
    default:
      return fail(`${place}.source.type`, 'expected text or base64')
  }
}

function searchResultPart(block: Json, place: string, dropped: DroppedFields): ChatTextPart {
  const { type: _, title, source, content, ...rest } = block
  dropped.addRest(place, rest)
  const texts = partsAt(content, `${place}.content`).map((item, i) => {
    const here = `${place}.content[${i}]`
    return textPart(objectAt(item, here), here, dropped).text
  })
  const head = [stringAt(title, `${place}.title`), stringAt(source, `${place}.source`), '']
  return { type: 'text', text: [...head, ...texts].join('\n') }
}

export interface ToolResult {
  readonly message: ChatToolMessage
  /** For the user message behind the results: what the tool message cannot hold. */
  readonly attachments: readonly ChatUserPart[]
}

export function toolResult(block: Json, place: string, dropped: DroppedFields): ToolResult {
  const { type: _, tool_use_id, content, is_error, ...rest } = block
  dropped.addRest(place, rest)
  const id = nameAt(tool_use_id, `${place}.tool_use_id`)
  const failed = optional(is_error, `${place}.is_error`, booleanAt) === true
  const texts: ChatTextPart[] = []
  const attachments: ChatUserPart[] = []

  for (const part of resultParts(content, `${place}.content`, dropped)) {
    if (part.type === 'text') {
      texts.push(part)
      continue
    }
    const label = `Attachment ${attachments.length / 2 + 1} of tool call ${id}`
    texts.push({ type: 'text', text: `[${label}: see the following user message]` })
    attachments.push({ type: 'text', text: `${label}:` }, part)
  }
  // OpenAI has no flag for a failed call.
  if (failed) texts.unshift({ type: 'text', text: 'The tool call failed:' })
  return { message: { role: 'tool', tool_call_id: id, content: flat(texts, failed) }, attachments }
}

function resultParts(content: unknown, place: string, dropped: DroppedFields): readonly ChatUserPart[] {
  if (content === undefined || content === null) return []
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return partsAt(content, place).flatMap((item, i): readonly ChatUserPart[] => {
    const here = `${place}[${i}]`
    const block = objectAt(item, here)
    if (block.type === 'tool_reference') {
      dropped.add(`${here}.tool_reference`)
      return []
    }
    return [userPart(block, here, dropped)]
  })
}

/** A string where that says the same: servers that are merely OpenAI-shaped often take nothing else. */
function flat(texts: readonly ChatTextPart[], failed: boolean): string | readonly ChatTextPart[] {
  return texts.length <= (failed ? 2 : 1) ? texts.map((part) => part.text).join('\n') : texts
}
