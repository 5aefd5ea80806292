/**
 * How a simulated provider counts, when no script says otherwise.
 *
 * A text has `ceil(length / 4)` tokens, `length` in UTF-16 code units. A request has 3 tokens, plus 4 per
 * message, plus the tokens of each message's whole text, plus those of the system prompt, plus those of the
 * tool definitions' JSON; an image or a file counts 85. An answer has the tokens of its text and of its tool calls'
 * names and arguments, at least 1, plus reasoning.
 */

const PER_REQUEST = 3
const PER_MESSAGE = 4
export const PER_ATTACHMENT = 85

export const textTokens = (text: string) => Math.ceil(text.length / 4)

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
