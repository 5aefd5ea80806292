/**
 * Freeform tools (`type: custom`) as functions and back.
 *
 * A custom tool takes bare text, so it becomes a function with one string parameter. What makes it a custom tool
 * again on the way back is a mark at the end of its name: a translation keeps nothing between a request and its
 * answer, and the name is the one thing that the provider returns from the first event on.
 */
import { fail, isObject, type Json } from './request-values.ts'

const MARK = '__custom'
/** OpenAI's limit; it includes the mark. */
const LONGEST_NAME = 64

export const CUSTOM_PARAMETERS = {
  type: 'object',
  properties: { input: { type: 'string', description: 'The whole input of the tool, as plain text.' } },
  required: ['input'],
  additionalProperties: false,
} as const satisfies Json

export function markedName(name: string, place: string): string {
  return name.length + MARK.length <= LONGEST_NAME
    ? name + MARK
    : fail(place, `a custom tool's name has at most ${LONGEST_NAME - MARK.length} characters here`)
}

/** A function that looks like one of ours would come back as a custom tool. */
export function unmarkedName(name: string, place: string): string {
  return name.endsWith(MARK) ? fail(place, `a function's name must not end in ${MARK} here`) : name
}

/** The custom tool's own name; undefined for an ordinary function. */
export const customNameOf = (name: string): string | undefined =>
  name.endsWith(MARK) && name.length > MARK.length ? name.slice(0, -MARK.length) : undefined

export const customArguments = (input: string): string => JSON.stringify({ input })

/** The text in the arguments; undefined when they are not what the schema asks for. */
export function customInput(argumentsText: string): string | undefined {
  try {
    const value: unknown = JSON.parse(argumentsText)
    return isObject(value) && typeof value.input === 'string' ? value.input : undefined
  } catch {
    return undefined
  }
}
