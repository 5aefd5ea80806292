/** The turns of a messages request as the input items of a Responses request. */
import type { InputContent, InputItem, InputOutputText } from '../wire/openai-responses.ts'
import { imageUrlAt } from './images.ts'
import { isProvidersOwn } from './messages-to-chat-parts.ts'
import {
  arrayAt,
  booleanAt,
  type DroppedFields,
  fail,
  type Json,
  jsonTextAt,
  nameAt,
  objectAt,
  optional,
  partsAt,
  stringAt,
} from './request-values.ts'

type Block = readonly [block: Json, place: string]

export function inputItems(messages: unknown, place: string, dropped: DroppedFields): readonly InputItem[] {
  return arrayAt(messages, place).flatMap((item, i) => {
    const here = `${place}[${i}]`
    const { role, content, ...rest } = objectAt(item, here)
    dropped.addRest(here, rest)
    const blocks = blocksAt(content, `${here}.content`)
    switch (role) {
      case 'system':
        return messageItems('system', textsOf(blocks, dropped))
      case 'user':
        return userItems(blocks, dropped)
      case 'assistant':
        return assistantItems(blocks, dropped)
      default:
        return fail(`${here}.role`, 'expected user, assistant or system')
    }
  })
}

/** A string is one text block. */
function blocksAt(content: unknown, place: string): readonly Block[] {
  if (typeof content === 'string') return content === '' ? [] : [[{ type: 'text', text: content }, place]]
  return partsAt(content, place).map((item, i) => [objectAt(item, `${place}[${i}]`), `${place}[${i}]`])
}

export const systemTexts = (system: unknown, place: string, dropped: DroppedFields): readonly string[] =>
  textsOf(blocksAt(system, place), dropped).map((part) => part.text)

function textsOf(blocks: readonly Block[], dropped: DroppedFields) {
  return blocks.map(([block, place]) =>
    block.type === 'text'
      ? inputText(textOfBlock(block, place, dropped))
      : fail(`${place}.type`, 'expected text'),
  )
}

const inputText = (text: string) => ({ type: 'input_text', text }) as const

function textOfBlock(block: Json, place: string, dropped: DroppedFields): string {
  const { type: _, text, citations, ...rest } = block
  // SDKs send an empty list back with every text.
  if (!Array.isArray(citations) || citations.length > 0) dropped.addRest(place, { citations })
  dropped.addRest(place, rest)
  return stringAt(text, `${place}.text`)
}

function messageItems(role: 'user' | 'system', content: readonly InputContent[]): readonly InputItem[] {
  return content.length === 0 ? [] : [{ type: 'message', role, content }]
}

/** Outputs first: they belong to the calls of the turn before. */
function userItems(blocks: readonly Block[], dropped: DroppedFields): readonly InputItem[] {
  const outputs: InputItem[] = []
  const content: InputContent[] = []
  for (const [block, place] of blocks) {
    if (block.type === 'tool_result') outputs.push(callOutput(block, place, dropped))
    else if (isProvidersOwn(block.type)) dropped.add(`${place}.${block.type}`)
    else content.push(...inputContents(block, place, dropped))
  }
  return [...outputs, ...messageItems('user', content)]
}

/** In the order of the blocks, so that what was said before a call stays before it. */
function assistantItems(blocks: readonly Block[], dropped: DroppedFields): readonly InputItem[] {
  const items: InputItem[] = []
  let texts: InputOutputText[] = []

  function flushTexts(): void {
    if (texts.length > 0) items.push({ type: 'message', role: 'assistant', content: texts })
    texts = []
  }

  for (const [block, place] of blocks) {
    if (block.type === 'text') {
      texts.push({ type: 'output_text', text: textOfBlock(block, place, dropped) })
    } else if (block.type === 'tool_use') {
      flushTexts()
      items.push(functionCall(block, place, dropped))
    } else if (isProvidersOwn(block.type)) {
      dropped.add(`${place}.${block.type}`)
    } else {
      fail(`${place}.type`, 'expected text, tool_use or thinking')
    }
  }
  flushTexts()
  return items
}

function functionCall(block: Json, place: string, dropped: DroppedFields): InputItem {
  const { type: _, id, name, input, ...rest } = block
  dropped.addRest(place, rest)
  return {
    type: 'function_call',
    call_id: nameAt(id, `${place}.id`),
    name: nameAt(name, `${place}.name`),
    arguments: jsonTextAt(objectAt(input, `${place}.input`), `${place}.input`),
  }
}

function callOutput(block: Json, place: string, dropped: DroppedFields): InputItem {
  const { type: _, tool_use_id, content, is_error, ...rest } = block
  dropped.addRest(place, rest)
  const failed = optional(is_error, `${place}.is_error`, booleanAt) === true
  return {
    type: 'function_call_output',
    call_id: nameAt(tool_use_id, `${place}.tool_use_id`),
    output: outputOf(content, `${place}.content`, dropped),
    ...(failed && { status: 'incomplete' }),
  }
}

function outputOf(content: unknown, place: string, dropped: DroppedFields): string | InputContent[] {
  if (content === undefined || content === null) return ''
  if (typeof content === 'string') return content
  const parts = partsAt(content, place).flatMap((item, i) => {
    const here = `${place}[${i}]`
    const block = objectAt(item, here)
    if (block.type !== 'tool_reference') return inputContents(block, here, dropped)
    dropped.add(`${here}.tool_reference`)
    return []
  })
  const [first] = parts
  if (first === undefined) return ''
  return parts.length === 1 && first.type === 'input_text' ? first.text : parts
}

/** Of a user's turn or a tool's result. */
function inputContents(block: Json, place: string, dropped: DroppedFields): readonly InputContent[] {
  switch (block.type) {
    case 'text':
      return [inputText(textOfBlock(block, place, dropped))]
    case 'image': {
      const { type: _, source, ...rest } = block
      dropped.addRest(place, rest)
      return [{ type: 'input_image', image_url: imageUrlAt(source, `${place}.source`), detail: 'auto' }]
    }
    case 'document':
      return documentContents(block, place, dropped)
    case 'search_result': {
      const { type: _, title, source, content, ...rest } = block
      dropped.addRest(place, rest)
      const head = [stringAt(title, `${place}.title`), stringAt(source, `${place}.source`), '']
      const texts = textsOf(blocksAt(content, `${place}.content`), dropped).map((part) => part.text)
      return [inputText([...head, ...texts].join('\n'))]
    }
    default:
      return fail(`${place}.type`, 'expected text, image, document, search_result or tool_result')
  }
}

function documentContents(block: Json, place: string, dropped: DroppedFields): readonly InputContent[] {
  const { type: _, source, title, ...rest } = block
  dropped.addRest(place, rest)
  const name = optional(title, `${place}.title`, stringAt)
  const from = objectAt(source, `${place}.source`)
  const here = `${place}.source`
  switch (from.type) {
    case 'base64': {
      const mediaType = nameAt(from.media_type, `${here}.media_type`)
      const file_data = `data:${mediaType};base64,${nameAt(from.data, `${here}.data`)}`
      // The API takes data only with a name.
      return [{ type: 'input_file', filename: name ?? 'document.pdf', file_data }]
    }
    case 'url':
      // A name beside a URL is refused.
      if (name !== undefined) dropped.add(`${place}.title`)
      return [{ type: 'input_file', file_url: nameAt(from.url, `${here}.url`) }]
    case 'text': {
      const text = stringAt(from.data, `${here}.data`)
      return [inputText(name === undefined ? text : `${name}\n\n${text}`)]
    }
    case 'content': {
      const blocks = blocksAt(from.content, `${here}.content`)
      const parts = blocks.flatMap(([part, at]) =>
        part.type === 'text' || part.type === 'image'
          ? inputContents(part, at, dropped)
          : fail(`${at}.type`, 'expected text or image'),
      )
      return name === undefined ? parts : [inputText(name), ...parts]
    }
    default:
      return fail(`${here}.type`, 'expected base64, url, text or content')
  }
}
