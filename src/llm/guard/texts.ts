/**
 * Where the texts of a request and of an answer are, in each API, and whose they are.
 *
 * Everything is copied only where a text changes: what comes back is what was given, the very object, when none did.
 * What a client sends is read defensively, and what is not known is left alone.
 */
import type { WireFormat } from '../../core/exchange.ts'
import type { SCOPES } from './schema.ts'

export type Scope = (typeof SCOPES)[number]

/** `json`: text that is JSON. `name`: of a field within a text that is no text alone. */
export type TextKind = 'text' | 'json' | 'name'

export type Edit = (scope: Scope, kind: TextKind, text: string) => string

/** Told whose the texts are that follow: the role as the message has it. */
export type Heed = (role: unknown) => void
const unheeded: Heed = () => {}

export type Json = Readonly<Record<string, unknown>>
type Step = (value: unknown) => unknown

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function each(value: unknown, step: Step): unknown {
  if (!Array.isArray(value)) return value
  const edited = value.map(step)
  return edited.some((one, index) => one !== value[index]) ? edited : value
}

function fields(value: unknown, steps: Readonly<Record<string, Step>>): unknown {
  if (!isObject(value)) return value
  let edited: Record<string, unknown> | undefined
  for (const key in steps) {
    if (value[key] === undefined) continue
    const next = steps[key]?.(value[key])
    if (next === value[key]) continue
    edited ??= { ...value }
    edited[key] = next
  }
  return edited ?? value
}

const textIn =
  (edit: Edit, scope: Scope, kind: TextKind = 'text'): Step =>
  (value) =>
    typeof value === 'string' ? edit(scope, kind, value) : value

/** Of a body that was read to be written anew, some numbers keep the spelling of their source: `JSON.rawJSON`. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  const isRaw = isObject(value) && Object.getPrototypeOf(value) === null && 'rawJSON' in value
  return isRaw ? Number(value.rawJSON) : undefined
}

/** Any JSON value: its strings, names among them, and its numbers, which a mask turns into strings. */
function valueIn(edit: Edit, scope: Scope): Step {
  const step: Step = (value) => {
    if (typeof value === 'string') return edit(scope, 'text', value)
    const number = numberOf(value)
    if (number !== undefined) {
      const edited = edit(scope, 'text', String(number))
      return edited === String(number) ? value : edited
    }
    if (Array.isArray(value)) return each(value, step)
    if (!isObject(value)) return value
    const entries = Object.entries(value)
    const edited = entries.map(([key, inner]) => [edit(scope, 'name', key), step(inner)] as const)
    const isSame = edited.every(([key, inner]) => Object.hasOwn(value, key) && value[key] === inner)
    return isSame ? value : Object.fromEntries(edited)
  }
  return step
}

/** What spells a text out token by token goes when the text is not that any more. */
const unspelled =
  (step: Step, nothing: unknown): Step =>
  (value) => {
    const edited = step(value)
    return edited === value || !isObject(edited) || edited.logprobs === undefined
      ? edited
      : { ...edited, logprobs: nothing }
  }

/** A part of some content; `thinking` is Mistral's. */
export function partIn(edit: Edit, scope: Scope): Step {
  const text = textIn(edit, scope)
  const thinking = valueIn(edit, scope)
  return unspelled((part) => fields(part, { text, refusal: text, thinking }), [])
}

/** A string, or parts with a `text` or a `refusal`. */
export function contentIn(edit: Edit, scope: Scope): Step {
  const part = partIn(edit, scope)
  return (value) => (typeof value === 'string' ? edit(scope, 'text', value) : each(value, part))
}

const isSystem = (role: unknown) => role === 'system' || role === 'developer'

function chatMessage(edit: Edit, heed = unheeded): Step {
  const call: Step = (value) =>
    fields(value, {
      function: (inner) => fields(inner, { arguments: textIn(edit, 'toolInput', 'json') }),
      custom: (inner) => fields(inner, { input: textIn(edit, 'toolInput') }),
    })
  return (message) => {
    if (!isObject(message)) return message
    const { role } = message
    heed(role)
    const scope = isSystem(role)
      ? 'systemPrompt'
      : role === 'tool' || role === 'function'
        ? 'toolOutput'
        : 'messages'
    const text = textIn(edit, scope)
    return fields(message, {
      content: contentIn(edit, scope),
      refusal: text,
      reasoning_content: text,
      reasoning: text,
      reasoning_details: valueIn(edit, scope),
      tool_calls: (calls) => each(calls, call),
      function_call: (inner) => fields(inner, { arguments: textIn(edit, 'toolInput', 'json') }),
    })
  }
}

/**
 * `thinking` that the client sends back is signed, and of no use to the provider when it is changed: only an answer's
 * is looked at.
 */
function messagesBlock(edit: Edit, isAnswer: boolean, scope: Scope = 'messages'): Step {
  return (block) => {
    if (!isObject(block)) return block
    const text = textIn(edit, scope)
    switch (block.type) {
      case 'tool_use':
      case 'server_tool_use':
      case 'mcp_tool_use':
        return fields(block, { input: valueIn(edit, 'toolInput') })
      case 'tool_result':
      case 'mcp_tool_result':
        return fields(block, { content: contentIn(edit, 'toolOutput') })
      case 'thinking':
        return isAnswer ? fields(block, { thinking: text }) : block
      case 'document':
        return fields(block, {
          title: text,
          context: text,
          source: (source) =>
            isObject(source) && source.type === 'text' ? fields(source, { data: text }) : source,
        })
      case 'search_result':
        return fields(block, { title: text, content: contentIn(edit, scope) })
      default:
        return fields(block, { text })
    }
  }
}

function messagesTurn(edit: Edit, heed: Heed): Step {
  return (turn) => {
    if (!isObject(turn)) return turn
    heed(turn.role)
    const scope = isSystem(turn.role) ? 'systemPrompt' : 'messages'
    const block = messagesBlock(edit, false, scope)
    const content: Step = (value) =>
      typeof value === 'string' ? edit(scope, 'text', value) : each(value, block)
    return fields(turn, { content })
  }
}

/** One item of a responses request's input or of an answer's output. */
export function responsesItem(edit: Edit, isAnswer: boolean, heed = unheeded): Step {
  return (item) => {
    if (!isObject(item)) return item
    heed(item.role)
    switch (item.type) {
      case 'function_call':
      case 'mcp_call':
        return fields(item, {
          arguments: textIn(edit, 'toolInput', 'json'),
          output: contentIn(edit, 'toolOutput'),
        })
      case 'custom_tool_call':
        return fields(item, { input: textIn(edit, 'toolInput') })
      case 'function_call_output':
      case 'custom_tool_call_output':
        return fields(item, { output: contentIn(edit, 'toolOutput') })
      case 'reasoning':
        return isAnswer
          ? fields(item, { summary: contentIn(edit, 'messages'), content: contentIn(edit, 'messages') })
          : item
      default:
        return fields(item, {
          content: contentIn(edit, isSystem(item.role) ? 'systemPrompt' : 'messages'),
          // Of the API's own tools: a search, a shell, a program.
          action: valueIn(edit, 'toolInput'),
          code: textIn(edit, 'toolInput'),
          output: valueIn(edit, 'toolOutput'),
        })
    }
  }
}

/** An answer, or what an event of a stream says of it. It repeats the request's instructions. */
export const responsesAnswer = (edit: Edit): Step => {
  const item = responsesItem(edit, true)
  return (answer) =>
    fields(answer, { output: (items) => each(items, item), output_text: textIn(edit, 'messages') })
}

type Body = Record<string, unknown>
const bodyOf = (edited: unknown, body: Body): Body => (isObject(edited) ? edited : body)

export function editRequest(format: WireFormat, body: Body, edit: Edit, heed = unheeded): Body {
  const of =
    (role: string, step: Step): Step =>
    (value) => {
      heed(role)
      return step(value)
    }
  const steps: Record<WireFormat, Readonly<Record<string, Step>>> = {
    completions: {
      messages: (messages) => each(messages, chatMessage(edit, heed)),
      prediction: of('assistant', (prediction) =>
        fields(prediction, { content: contentIn(edit, 'messages') }),
      ),
    },
    messages: {
      system: of('system', contentIn(edit, 'systemPrompt')),
      messages: (messages) => each(messages, messagesTurn(edit, heed)),
    },
    responses: {
      instructions: of('system', textIn(edit, 'systemPrompt')),
      input: of('user', (input) =>
        typeof input === 'string'
          ? edit('messages', 'text', input)
          : each(input, responsesItem(edit, false, heed)),
      ),
      prompt: of('user', (prompt) => fields(prompt, { variables: valueIn(edit, 'messages') })),
    },
    embeddings: {
      input: (input) =>
        typeof input === 'string' ? edit('messages', 'text', input) : each(input, textIn(edit, 'messages')),
    },
  }
  return bodyOf(fields(body, steps[format]), body)
}

export function editAnswer(format: WireFormat, body: Body, edit: Edit): Body {
  const steps: Record<WireFormat, Step> = {
    completions: (answer) =>
      fields(answer, {
        choices: (choices) =>
          each(
            choices,
            unspelled((choice) => fields(choice, { message: chatMessage(edit) }), null),
          ),
      }),
    messages: (answer) => fields(answer, { content: (content) => each(content, messagesBlock(edit, true)) }),
    responses: responsesAnswer(edit),
    embeddings: (answer) => answer,
  }
  return bodyOf(steps[format](body), body)
}
