/**
 * How a simulated provider counts, when no script says otherwise: as OpenAI does, with the o200k tokenizer.
 *
 * A request has 3 tokens, plus 4 per message (3 and its role), plus the tokens of each message's whole text, plus
 * those of the system prompt, plus those of the tool definitions' JSON; an image or a file counts 85. An answer has
 * the tokens of its text and of its tool calls' names and arguments, at least 1, plus reasoning.
 * https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
import { decode } from 'gpt-tokenizer/encoding/o200k_base'
import { countTokens, encode } from '../core/tokenizer.ts'

const PER_REQUEST = 3
const PER_MESSAGE = 4
const PER_ATTACHMENT = 85

/** Longer texts are made up for their size only; they are counted by their length. */
const LONGEST_COUNTED = 64 * 1024

export const textTokens = (text: string) =>
  text.length > LONGEST_COUNTED ? Math.ceil(text.length / 4) : countTokens(text)

/** The text's tokens as texts of their own; undefined when one of them is only part of a character. */
export function tokenTexts(text: string): string[] | undefined {
  if (text.length > LONGEST_COUNTED) return undefined
  const texts = encode(text).map((token) => decode([token]))
  // `decode` keeps the beginning of a character for its next call, so a part of one does not show in the whole.
  const whole = texts.every((one) => countTokens(one) === 1) && texts.join('') === text
  return whole ? texts : undefined
}

/** As much of the text as `limit` tokens hold, never half a character. */
export function firstTokens(text: string, limit: number): string {
  const tokens = tokenTexts(text)
  if (tokens !== undefined) return tokens.slice(0, Math.max(limit, 0)).join('')
  let fits = 0
  let tooLong = text.length + 1
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2)
    if (textTokens(text.slice(0, middle)) <= limit) fits = middle
    else tooLong = middle
  }
  // Half a surrogate pair is no text.
  return text.slice(0, fits).replace(/[\ud800-\udbff]$/, '')
}

export interface Countable {
  /** One text per message, roles and keys left out. */
  readonly messages: readonly string[]
  readonly system: string
  /** As in the request, or undefined. */
  readonly tools: unknown
  /** Images, files, audio. */
  readonly attachments: number
}

export function requestTokens(request: Countable): number {
  let total = PER_REQUEST + request.attachments * PER_ATTACHMENT + textTokens(request.system)
  for (const message of request.messages) total += PER_MESSAGE + textTokens(message)
  if (request.tools !== undefined) total += textTokens(JSON.stringify(request.tools))
  return total
}

/** `total` as `parts` whole numbers that differ by at most one: what each delta of an answer costs. */
export function spread(total: number, parts: number): number[] {
  const shares: number[] = []
  for (let part = 1; part <= parts; part++) {
    shares.push(Math.floor((total * part) / parts) - Math.floor((total * (part - 1)) / parts))
  }
  return shares
}

/**
 * What each delta of an answer costs: its own tokens where these make up the total, else equal shares. `total` leaves
 * out the `prepaid` tokens of the first delta, which were told of before it.
 */
export function shareOut(total: number, deltas: readonly string[], prepaid = 0): number[] {
  const length = deltas.reduce((sum, delta) => sum + delta.length, 0)
  if (length > LONGEST_COUNTED) return spread(total, deltas.length)
  const own = deltas.map(textTokens)
  const [first = 0, ...rest] = own
  const sum = own.reduce((all, one) => all + one, 0)
  return sum > 0 && sum === total + prepaid && first >= prepaid
    ? [first - prepaid, ...rest]
    : spread(total, deltas.length)
}
