/**
 * The conversation of a chat completions request as messages' system prompt and turns.
 *
 * Anthropic wants user and assistant to alternate, and all results of parallel tool calls in one user turn: so
 * neighbours of one role are merged.
 */
import type {
  AssistantBlock,
  ImageBlock,
  MessageParam,
  TextBlock,
  ToolResultBlock,
  ToolUseBlock,
  UserBlock,
} from '../wire/anthropic-messages.ts'
import { imageSourceAt } from './images.ts'
import {
  arrayAt,
  type DroppedFields,
  fail,
  type Json,
  nameAt,
  objectAt,
  optional,
  partsAt,
  stringAt,
} from './request-values.ts'
import { parseToolArguments } from './tool-arguments.ts'

export interface Conversation {
  readonly system: string
  readonly turns: readonly MessageParam[]
}

export function conversationAt(value: unknown, place: string, dropped: DroppedFields): Conversation {
  const system: string[] = []
  const turns: ({ role: 'user'; content: UserBlock[] } | { role: 'assistant'; content: AssistantBlock[] })[] =
    []

  function addUser(blocks: readonly UserBlock[]): void {
    if (blocks.length === 0) return
    const last = turns.at(-1)
    if (last?.role === 'user') for (const block of blocks) last.content.push(block)
    else turns.push({ role: 'user', content: [...blocks] })
  }

  function addAssistant(blocks: readonly AssistantBlock[]): void {
    if (blocks.length === 0) return
    const last = turns.at(-1)
    if (last?.role === 'assistant') for (const block of blocks) last.content.push(block)
    else turns.push({ role: 'assistant', content: [...blocks] })
  }

  for (const [i, item] of arrayAt(value, place).entries()) {
    const here = `${place}[${i}]`
    const message = objectAt(item, here)
    switch (message.role) {
      case 'system':
      case 'developer':
        for (const text of systemTexts(message, here, dropped)) system.push(text)
        break
      case 'user': {
        const { role: _, content, ...rest } = message
        dropped.addRest(here, rest)
        addUser(userBlocks(content, `${here}.content`, dropped))
        break
      }
      case 'assistant':
        addAssistant(assistantBlocks(message, here, dropped))
        break
      case 'tool':
        addUser([toolResult(message, here, dropped)])
        break
      default:
        fail(`${here}.role`, 'expected system, developer, user, assistant or tool')
    }
  }
  return { system: system.join('\n'), turns }
}

function systemTexts(message: Json, place: string, dropped: DroppedFields): string[] {
  const { role: _, content, ...rest } = message
  dropped.addRest(place, rest)
  return proseBlocks(content, `${place}.content`, ['text'], dropped).map((block) => block.text)
}

/** Of a user's or tool's content: text, or parts. */
function userBlocks(content: unknown, place: string, dropped: DroppedFields): (TextBlock | ImageBlock)[] {
  if (typeof content === 'string') return textBlocks(content)
  return partsAt(content, place).flatMap((item, i): (TextBlock | ImageBlock)[] => {
    const here = `${place}[${i}]`
    const { type, ...part } = objectAt(item, here)
    switch (type) {
      case 'text': {
        const { text, ...rest } = part
        dropped.addRest(here, rest)
        return textBlocks(stringAt(text, `${here}.text`))
      }
      case 'image_url': {
        const { image_url, ...rest } = part
        const { url, ...options } = objectAt(image_url, `${here}.image_url`)
        dropped.addRest(here, rest)
        dropped.addRest(`${here}.image_url`, options)
        return [{ type: 'image', source: imageSourceAt(url, `${here}.image_url.url`) }]
      }
      case 'input_audio':
      case 'file':
        dropped.add(`${here}.${type}`)
        return []
      default:
        return fail(`${here}.type`, 'expected text, image_url, input_audio or file')
    }
  })
}

/** The API refuses empty text; leaving it out loses nothing. */
function textBlocks(text: string): TextBlock[] {
  return text === '' ? [] : [{ type: 'text', text }]
}

function assistantBlocks(message: Json, place: string, dropped: DroppedFields): AssistantBlock[] {
  const { role: _, content, refusal, tool_calls, ...rest } = message
  dropped.addRest(place, rest)
  return [
    ...(optional(content, `${place}.content`, (value, here) =>
      proseBlocks(value, here, ['text', 'refusal'], dropped),
    ) ?? []),
    ...textBlocks(optional(refusal, `${place}.refusal`, stringAt) ?? ''),
    ...(optional(tool_calls, `${place}.tool_calls`, arrayAt) ?? []).map((call, i) =>
      toolUse(call, `${place}.tool_calls[${i}]`, dropped),
    ),
  ]
}

function proseBlocks(
  content: unknown,
  place: string,
  types: readonly string[],
  dropped: DroppedFields,
): TextBlock[] {
  if (typeof content === 'string') return textBlocks(content)
  return partsAt(content, place).flatMap((item, i) => {
    const here = `${place}[${i}]`
    const { type, ...part } = objectAt(item, here)
    if (typeof type !== 'string' || !types.includes(type)) {
      return fail(`${here}.type`, `expected ${types.join(' or ')}`)
    }
    // A part's text stands under the name of its type.
    const { [type]: text, ...rest } = part
    dropped.addRest(here, rest)
    return textBlocks(stringAt(text, `${here}.${type}`))
  })
}

function toolUse(call: unknown, place: string, dropped: DroppedFields): ToolUseBlock {
  const { id, type, function: called, index: _, ...rest } = objectAt(call, place)
  // Some clients leave the type out: there was only one for years.
  if ((type ?? 'function') !== 'function') return fail(`${place}.type`, 'expected function')
  const { name, arguments: text, ...others } = objectAt(called, `${place}.function`)
  dropped.addRest(place, rest)
  dropped.addRest(`${place}.function`, others)
  return {
    type: 'tool_use',
    id: nameAt(id, `${place}.id`),
    name: nameAt(name, `${place}.function.name`),
    input: parseToolArguments(stringAt(text, `${place}.function.arguments`)),
  }
}

function toolResult(message: Json, place: string, dropped: DroppedFields): ToolResultBlock {
  const { role: _, tool_call_id, content, ...rest } = message
  dropped.addRest(place, rest)
  const blocks = userBlocks(content, `${place}.content`, dropped)
  return {
    type: 'tool_result',
    tool_use_id: nameAt(tool_call_id, `${place}.tool_call_id`),
    ...(typeof content === 'string' && content !== '' && { content }),
    ...(typeof content !== 'string' && blocks.length > 0 && { content: blocks }),
  }
}
