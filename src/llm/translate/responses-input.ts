/**
 * The input items of a Responses request, read into one shape for both translations.
 *
 * An item that only OpenAI can resolve is refused when the conversation would be wrong without it (a reference, a
 * compacted history) and dropped when it merely records what OpenAI did by itself (reasoning, its own tools).
 */

import {
  type DroppedFields,
  fail,
  type Json,
  nameAt,
  objectAt,
  optional,
  partsAt,
  stringAt,
} from './request-values.ts'
import { customArguments, markedName, unmarkedName } from './responses-custom-tools.ts'

export type InputPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'refusal'; readonly text: string }
  | {
      readonly type: 'image'
      readonly url: string
      readonly detail: string | undefined
      readonly place: string
    }
  | {
      readonly type: 'file'
      /** A data URL. */
      readonly data: string | undefined
      readonly url: string | undefined
      readonly filename: string | undefined
      readonly place: string
    }
  | { readonly type: 'audio'; readonly data: string; readonly format: string; readonly place: string }

export interface MessageItem {
  readonly type: 'message'
  readonly role: 'user' | 'assistant' | 'system' | 'developer'
  readonly parts: readonly InputPart[]
  readonly place: string
}

interface CallItem {
  readonly type: 'call'
  readonly callId: string
  readonly name: string
  /** JSON text, as the model wrote it. */
  readonly arguments: string
}

export interface OutputItem {
  readonly type: 'output'
  readonly callId: string
  readonly parts: readonly InputPart[]
  /** The client marked the output as incomplete. */
  readonly isIncomplete: boolean
  readonly place: string
}

export type ConversationItem = MessageItem | CallItem | OutputItem

/** Records of OpenAI's own tools and thoughts. */
const RECORDS = new Set<unknown>([
  'reasoning',
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'image_generation_call',
  'computer_call',
  'computer_call_output',
  'local_shell_call',
  'local_shell_call_output',
  'shell_call',
  'shell_call_output',
  'apply_patch_call',
  'apply_patch_call_output',
  'mcp_list_tools',
  'mcp_approval_request',
  'mcp_approval_response',
  'mcp_call',
  'tool_search_call',
  'tool_search_output',
  'program',
  'program_output',
])

export function conversationAt(value: unknown, place: string, dropped: DroppedFields): ConversationItem[] {
  if (typeof value === 'string') {
    return [{ type: 'message', role: 'user', parts: [{ type: 'text', text: value }], place }]
  }
  return partsAt(value, place).flatMap((item, i) => itemAt(item, `${place}[${i}]`, dropped) ?? [])
}

function itemAt(value: unknown, place: string, dropped: DroppedFields): ConversationItem | undefined {
  const item = objectAt(value, place)
  switch (item.type) {
    case 'message':
    case undefined:
    case null:
      return messageAt(item, place, dropped)
    case 'function_call': {
      const { type: _, call_id, name, arguments: text, ...rest } = item
      dropped.addRest(place, rest)
      return {
        type: 'call',
        callId: nameAt(call_id, `${place}.call_id`),
        name: unmarkedName(nameAt(name, `${place}.name`), `${place}.name`),
        arguments: stringAt(text, `${place}.arguments`),
      }
    }
    case 'custom_tool_call': {
      const { type: _, call_id, name, input, ...rest } = item
      dropped.addRest(place, rest)
      return {
        type: 'call',
        callId: nameAt(call_id, `${place}.call_id`),
        name: markedName(nameAt(name, `${place}.name`), `${place}.name`),
        arguments: customArguments(stringAt(input, `${place}.input`)),
      }
    }
    case 'function_call_output':
    case 'custom_tool_call_output':
      return outputAt(item, place, dropped)
    case 'item_reference':
      return referenceAt(item, place, dropped)
    default:
      if (!RECORDS.has(item.type)) {
        return fail(`${place}.type`, 'this kind of item cannot be translated for the provider')
      }
      dropped.add(`${place}.${nameAt(item.type, `${place}.type`)}`)
      return undefined
  }
}

function messageAt(item: Json, place: string, dropped: DroppedFields): MessageItem {
  const { type: _, role, content, ...rest } = item
  dropped.addRest(place, rest)
  if (role !== 'user' && role !== 'assistant' && role !== 'system' && role !== 'developer') {
    return fail(`${place}.role`, 'expected user, assistant, system or developer')
  }
  return { type: 'message', role, parts: contentAt(content, `${place}.content`, dropped), place }
}

function outputAt(item: Json, place: string, dropped: DroppedFields): OutputItem {
  const { type: _, call_id, output, status, ...rest } = item
  dropped.addRest(place, rest)
  return {
    type: 'output',
    callId: nameAt(call_id, `${place}.call_id`),
    parts: contentAt(output, `${place}.output`, dropped),
    isIncomplete: optional(status, `${place}.status`, stringAt) === 'incomplete',
    place,
  }
}

/** Ids that begin with `rs_` are those of reasoning, which is not sent again anyway. */
function referenceAt(item: Json, place: string, dropped: DroppedFields): undefined {
  if (nameAt(item.id, `${place}.id`).startsWith('rs_')) {
    dropped.add(`${place}.item_reference`)
    return undefined
  }
  return fail(
    place,
    'the gateway stores no responses, so an item cannot be named by its id: send the item itself (`store: false`)',
  )
}

function contentAt(content: unknown, place: string, dropped: DroppedFields): InputPart[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return partsAt(content, place).map((part, i) => partAt(part, `${place}[${i}]`, dropped))
}

function partAt(value: unknown, place: string, dropped: DroppedFields): InputPart {
  const part = objectAt(value, place)
  switch (part.type) {
    case 'input_text':
    case 'output_text':
    case 'text': {
      const { type: _, text, annotations, logprobs, ...rest } = part
      // SDKs send both back with every turn, empty as a rule.
      for (const [key, list] of Object.entries({ annotations, logprobs })) {
        if (!Array.isArray(list) || list.length > 0) dropped.addRest(place, { [key]: list })
      }
      dropped.addRest(place, rest)
      return { type: 'text', text: stringAt(text, `${place}.text`) }
    }
    case 'refusal': {
      const { type: _, refusal, ...rest } = part
      dropped.addRest(place, rest)
      return { type: 'refusal', text: stringAt(refusal, `${place}.refusal`) }
    }
    case 'input_image':
      return imageAt(part, place, dropped)
    case 'input_file':
      return fileAt(part, place, dropped)
    case 'input_audio': {
      const { type: _, input_audio, ...rest } = part
      dropped.addRest(place, rest)
      const { data, format, ...others } = objectAt(input_audio, `${place}.input_audio`)
      dropped.addRest(`${place}.input_audio`, others)
      return {
        type: 'audio',
        data: nameAt(data, `${place}.input_audio.data`),
        format: nameAt(format, `${place}.input_audio.format`),
        place,
      }
    }
    default:
      return fail(
        `${place}.type`,
        'expected input_text, input_image, input_file, input_audio, output_text or refusal',
      )
  }
}

const NOT_STORED = 'a file stored at OpenAI is unknown to the provider: send its data or a URL'

function imageAt(part: Json, place: string, dropped: DroppedFields): InputPart {
  const { type: _, image_url, detail, file_id, ...rest } = part
  dropped.addRest(place, rest)
  const url = optional(image_url, `${place}.image_url`, nameAt)
  if (url === undefined) {
    return optional(file_id, `${place}.file_id`, stringAt) === undefined
      ? fail(`${place}.image_url`, 'is required')
      : fail(`${place}.file_id`, NOT_STORED)
  }
  if (!/^(https?:\/\/|data:image\/)/i.test(url)) {
    return fail(`${place}.image_url`, 'expected an http(s) URL or a data URL of an image')
  }
  return { type: 'image', url, detail: optional(detail, `${place}.detail`, stringAt), place }
}

function fileAt(part: Json, place: string, dropped: DroppedFields): InputPart {
  const { type: _, file_data, file_url, filename, file_id, ...rest } = part
  dropped.addRest(place, rest)
  const data = optional(file_data, `${place}.file_data`, nameAt)
  const url = optional(file_url, `${place}.file_url`, nameAt)
  if (data === undefined && url === undefined) {
    return optional(file_id, `${place}.file_id`, stringAt) === undefined
      ? fail(`${place}.file_data`, 'is required')
      : fail(`${place}.file_id`, NOT_STORED)
  }
  return { type: 'file', data, url, filename: optional(filename, `${place}.filename`, stringAt), place }
}
