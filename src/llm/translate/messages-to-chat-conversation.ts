/** The system prompt and turns of a messages request as the messages of chat completions. */
import type { ChatMessage, ChatTextPart, ChatToolCall, ChatUserPart } from '../wire/openai-chat.ts'
import { isProvidersOwn, textPart, toolResult, userPart } from './messages-to-chat-parts.ts'
import {
  arrayAt,
  type DroppedFields,
  fail,
  type Json,
  jsonTextAt,
  nameAt,
  objectAt,
  partsAt,
} from './request-values.ts'

export function chatMessages(request: Json, dropped: DroppedFields): readonly ChatMessage[] {
  const messages: ChatMessage[] = []
  if (request.system !== undefined && request.system !== null) {
    addSystem(messages, request.system, 'system', dropped)
  }
  for (const [i, item] of arrayAt(request.messages, 'messages').entries()) {
    const here = `messages[${i}]`
    const { role, content, ...rest } = objectAt(item, here)
    dropped.addRest(here, rest)
    switch (role) {
      case 'system':
        addSystem(messages, content, `${here}.content`, dropped)
        break
      case 'user':
        addUser(messages, content, `${here}.content`, dropped)
        break
      case 'assistant':
        addAssistant(messages, content, `${here}.content`, dropped)
        break
      default:
        fail(`${here}.role`, 'expected user, assistant or system')
    }
  }
  return messages
}

/** A block where it stands, or every block of an array; a string is one text block. */
function blocksAt(content: unknown, place: string): readonly (readonly [block: Json, place: string])[] {
  if (typeof content === 'string') return content === '' ? [] : [[{ type: 'text', text: content }, place]]
  return partsAt(content, place).map((item, i) => [objectAt(item, `${place}[${i}]`), `${place}[${i}]`])
}

function addSystem(messages: ChatMessage[], content: unknown, place: string, dropped: DroppedFields): void {
  if (typeof content === 'string') {
    if (content !== '') messages.push({ role: 'system', content })
    return
  }
  const parts = blocksAt(content, place).map(([block, here]) =>
    block.type === 'text' ? textPart(block, here, dropped) : fail(`${here}.type`, 'expected text'),
  )
  if (parts.length > 0) messages.push({ role: 'system', content: parts })
}

/** Results first: OpenAI wants them right behind the turn that made the calls. */
function addUser(messages: ChatMessage[], content: unknown, place: string, dropped: DroppedFields): void {
  const parts: ChatUserPart[] = []
  for (const [block, here] of blocksAt(content, place)) {
    if (block.type === 'tool_result') {
      const result = toolResult(block, here, dropped)
      messages.push(result.message)
      for (const attachment of result.attachments) parts.push(attachment)
    } else if (isProvidersOwn(block.type)) {
      dropped.add(`${here}.${block.type}`)
    } else {
      parts.push(userPart(block, here, dropped))
    }
  }
  if (parts.length > 0) messages.push({ role: 'user', content: parts })
}

function addAssistant(
  messages: ChatMessage[],
  content: unknown,
  place: string,
  dropped: DroppedFields,
): void {
  const texts: ChatTextPart[] = []
  const toolCalls: ChatToolCall[] = []
  for (const [block, here] of blocksAt(content, place)) {
    if (block.type === 'text') texts.push(textPart(block, here, dropped))
    else if (block.type === 'tool_use') toolCalls.push(toolCall(block, here, dropped))
    else if (isProvidersOwn(block.type)) dropped.add(`${here}.${block.type}`)
    else fail(`${here}.type`, 'expected text, tool_use or thinking')
  }
  if (texts.length === 0 && toolCalls.length === 0) return
  messages.push({
    role: 'assistant',
    ...(texts.length > 0 && { content: texts }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
  })
}

function toolCall(block: Json, place: string, dropped: DroppedFields): ChatToolCall {
  const { type: _, id, name, input, ...rest } = block
  dropped.addRest(place, rest)
  return {
    id: nameAt(id, `${place}.id`),
    type: 'function',
    function: {
      name: nameAt(name, `${place}.name`),
      arguments: jsonTextAt(objectAt(input, `${place}.input`), `${place}.input`),
    },
  }
}
