/** Tools and the choice among them, from chat completions to messages. */
import type { Tool, ToolChoice } from '../wire/anthropic-messages.ts'
import {
  arrayAt,
  booleanAt,
  type DroppedFields,
  fail,
  type Json,
  nameAt,
  objectAt,
  optional,
  stringAt,
} from './request-values.ts'

export interface ToolSetup {
  readonly tools: readonly Tool[]
  readonly choice: ToolChoice | undefined
}

export function toolSetup(chat: Json, dropped: DroppedFields): ToolSetup {
  const all = optional(chat.tools, 'tools', (value, place) => functionTools(value, place, dropped)) ?? []
  const asked = optional(chat.tool_choice, 'tool_choice', toolChoice)
  const parallel = optional(chat.parallel_tool_calls, 'parallel_tool_calls', booleanAt)

  if (all.length === 0) {
    // Both APIs refuse a choice among no tools; it can only be left over.
    if (asked !== undefined) dropped.add('tool_choice')
    if (parallel !== undefined) dropped.add('parallel_tool_calls')
    return { tools: [], choice: undefined }
  }
  const tools = asked?.allowed === undefined ? all : all.filter((tool) => asked.allowed?.has(tool.name))
  if (parallel === undefined) return { tools, choice: asked?.choice }
  const choice = asked?.choice ?? { type: 'auto' }
  if (choice.type === 'none') {
    dropped.add('parallel_tool_calls')
    return { tools, choice }
  }
  return { tools, choice: { ...choice, disable_parallel_tool_use: !parallel } }
}

function functionTools(value: unknown, place: string, dropped: DroppedFields): Tool[] {
  return arrayAt(value, place).flatMap((item, i) => {
    const here = `${place}[${i}]`
    const { type, function: declared, ...rest } = objectAt(item, here)
    if (type !== 'function') {
      dropped.add(`${here}.${nameAt(type, `${here}.type`)}`)
      return []
    }
    const { name, description, parameters, ...others } = objectAt(declared, `${here}.function`)
    dropped.addRest(here, rest)
    dropped.addRest(`${here}.function`, others)
    const text = optional(description, `${here}.function.description`, stringAt)
    return [
      {
        name: nameAt(name, `${here}.function.name`),
        ...(text !== undefined && { description: text }),
        // The API insists on the type; OpenAI takes a function without parameters.
        input_schema: {
          type: 'object',
          ...(optional(parameters, `${here}.function.parameters`, objectAt) ?? { properties: {} }),
        },
      },
    ]
  })
}

interface AskedChoice {
  readonly choice: ToolChoice
  /** The tools that may be called, where the choice names them: the others are then not offered at all. */
  readonly allowed?: ReadonlySet<string>
}

function toolChoice(value: unknown, place: string): AskedChoice {
  if (typeof value === 'string') return { choice: choiceOfMode(value, place) }
  const choice = objectAt(value, place)
  switch (choice.type) {
    case 'function':
      return { choice: { type: 'tool', name: functionName(choice, place) } }
    case 'allowed_tools': {
      const { mode, tools } = objectAt(choice.allowed_tools, `${place}.allowed_tools`)
      const names = arrayAt(tools, `${place}.allowed_tools.tools`).map((tool, i) =>
        functionName(tool, `${place}.allowed_tools.tools[${i}]`),
      )
      return { choice: choiceOfMode(mode, `${place}.allowed_tools.mode`), allowed: new Set(names) }
    }
    default:
      return fail(`${place}.type`, 'expected function or allowed_tools')
  }
}

function choiceOfMode(mode: unknown, place: string): ToolChoice {
  switch (mode) {
    case 'auto':
      return { type: 'auto' }
    case 'required':
      return { type: 'any' }
    case 'none':
      return { type: 'none' }
    default:
      return fail(place, 'expected auto, required, none or a tool')
  }
}

function functionName(value: unknown, place: string): string {
  const chosen = objectAt(objectAt(value, place).function, `${place}.function`)
  return nameAt(chosen.name, `${place}.function.name`)
}
