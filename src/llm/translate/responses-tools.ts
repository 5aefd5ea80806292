/**
 * Tools and the choice among them in a Responses request, read into one shape for both translations.
 *
 * Only the client's own tools can be carried over: what OpenAI runs itself (web search, file search, …) is dropped.
 */

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
import { CUSTOM_PARAMETERS, markedName, unmarkedName } from './responses-custom-tools.ts'

export interface OfferedTool {
  readonly name: string
  readonly description: string | undefined
  readonly parameters: Json | undefined
  readonly strict: boolean | undefined
  readonly place: string
}

type ChosenTool = 'auto' | 'none' | 'required' | { readonly name: string }

export interface ToolSetup {
  readonly tools: readonly OfferedTool[]
  readonly choice: ChosenTool | undefined
  readonly parallel: boolean | undefined
}

export function toolSetup(request: Json, dropped: DroppedFields): ToolSetup {
  const all = optional(request.tools, 'tools', (value, place) => toolsAt(value, place, dropped)) ?? []
  const asked = optional(request.tool_choice, 'tool_choice', (value, place) =>
    choiceAt(value, place, dropped),
  )
  const parallel = optional(request.parallel_tool_calls, 'parallel_tool_calls', booleanAt)

  const tools = asked?.allowed === undefined ? all : all.filter((tool) => asked.allowed?.has(tool.name))
  if (tools.length === 0) {
    // The other APIs refuse a choice among no tools.
    if (asked !== undefined) dropped.add('tool_choice')
    if (parallel !== undefined) dropped.add('parallel_tool_calls')
    return { tools, choice: undefined, parallel: undefined }
  }
  return { tools, choice: asked?.choice, parallel }
}

function toolsAt(value: unknown, place: string, dropped: DroppedFields): OfferedTool[] {
  return arrayAt(value, place).flatMap((item, i) => {
    const here = `${place}[${i}]`
    const tool = objectAt(item, here)
    switch (tool.type) {
      case 'function':
        return [functionTool(tool, here, dropped)]
      case 'custom':
        return [customTool(tool, here, dropped)]
      default:
        dropped.add(`${here}.${nameAt(tool.type, `${here}.type`)}`)
        return []
    }
  })
}

function functionTool(tool: Json, place: string, dropped: DroppedFields): OfferedTool {
  const { type: _, name, description, parameters, strict, ...rest } = tool
  dropped.addRest(place, rest)
  return {
    name: unmarkedName(nameAt(name, `${place}.name`), `${place}.name`),
    description: optional(description, `${place}.description`, stringAt),
    parameters: optional(parameters, `${place}.parameters`, objectAt),
    strict: optional(strict, `${place}.strict`, booleanAt),
    place,
  }
}

function customTool(tool: Json, place: string, dropped: DroppedFields): OfferedTool {
  const { type: _, name, description, format, ...rest } = tool
  dropped.addRest(place, rest)
  const about = optional(description, `${place}.description`, stringAt)
  const grammar = optional(format, `${place}.format`, (value, here) => grammarAt(value, here, dropped))
  const texts = [about, grammar].filter((text) => text !== undefined)
  return {
    name: markedName(nameAt(name, `${place}.name`), `${place}.name`),
    description: texts.length > 0 ? texts.join('\n\n') : undefined,
    parameters: CUSTOM_PARAMETERS,
    strict: undefined,
    place,
  }
}

/** A grammar can be told to the model; that it holds the model to it is lost. */
function grammarAt(value: unknown, place: string, dropped: DroppedFields): string | undefined {
  const format = objectAt(value, place)
  if (format.type === 'text') return undefined
  if (format.type !== 'grammar') return fail(`${place}.type`, 'expected text or grammar')
  dropped.add(place)
  const syntax = stringAt(format.syntax, `${place}.syntax`)
  return `The input must follow this ${syntax} grammar:\n${stringAt(format.definition, `${place}.definition`)}`
}

interface AskedChoice {
  readonly choice: ChosenTool | undefined
  /** Names of the tools that may be called, where the choice lists them: the others are then not offered at all. */
  readonly allowed?: ReadonlySet<string>
}

function choiceAt(value: unknown, place: string, dropped: DroppedFields): AskedChoice {
  if (typeof value === 'string') return { choice: modeAt(value, place) }
  const choice = objectAt(value, place)
  if (choice.type === 'allowed_tools') {
    const allowed = arrayAt(choice.tools, `${place}.tools`).flatMap(
      (tool, i) => chosenName(tool, `${place}.tools[${i}]`, dropped) ?? [],
    )
    return { choice: modeAt(choice.mode, `${place}.mode`), allowed: new Set(allowed) }
  }
  const name = chosenName(choice, place, dropped)
  return { choice: name === undefined ? undefined : { name } }
}

function modeAt(value: unknown, place: string): 'auto' | 'none' | 'required' {
  if (value === 'auto' || value === 'none' || value === 'required') return value
  return fail(place, 'expected auto, none, required or a tool')
}

/** Undefined for a tool that OpenAI runs itself. */
function chosenName(value: unknown, place: string, dropped: DroppedFields): string | undefined {
  const chosen = objectAt(value, place)
  const type = nameAt(chosen.type, `${place}.type`)
  if (type === 'function') return unmarkedName(nameAt(chosen.name, `${place}.name`), `${place}.name`)
  if (type === 'custom') return markedName(nameAt(chosen.name, `${place}.name`), `${place}.name`)
  dropped.add(`${place}.${type}`)
  return undefined
}
