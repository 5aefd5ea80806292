/**
 * A kept request's body as the conversation that it is, in the shapes of OpenAI's two APIs and of Anthropic's.
 */
import { isObject, type JsonObject, parseJson, readText } from '../format/json.ts'

export interface Turn {
  readonly role: string
  readonly text: string
}

export interface Prompt {
  readonly turns: readonly Turn[]
  /** What the body says beside its turns. */
  readonly others: JsonObject
}

/** Undefined where there are no turns in it. */
export function readPrompt(text: string): Prompt | undefined {
  const body = parseJson(text)
  if (!isObject(body)) return undefined
  const { messages, input, system, instructions, ...others } = body
  const turns = [...first('system', system ?? instructions), ...turnsOf(messages ?? input)]
  return turns.length === 0 ? undefined : { turns, others }
}

const first = (role: string, content: unknown): readonly Turn[] =>
  content === undefined ? [] : [{ role, text: textOf(content) }]

function turnsOf(list: unknown): readonly Turn[] {
  if (!Array.isArray(list)) return first('user', list)
  return list.map((turn: unknown) =>
    isObject(turn) && turn.content !== undefined && turn.content !== null && turn.tool_calls === undefined
      ? { role: readText(turn, 'role') ?? 'turn', text: textOf(turn.content) }
      : { role: readText(turn, 'role') ?? 'turn', text: textOf(turn) },
  )
}

/** Parts that are nothing but text are shown as such; whatever has more to it as JSON. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  const parts = Array.isArray(content) ? content.map((part) => readText(part, 'text')) : [undefined]
  return parts.every((part) => part !== undefined)
    ? parts.join('\n\n')
    : JSON.stringify(content, undefined, 2)
}
