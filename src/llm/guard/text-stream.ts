/**
 * Text in pieces -> the same text with what the rules find masked, as if it had come in one.
 *
 * Of the matches of all rules the one that begins first counts, of those that begin together that of the first rule.
 * Text is released up to the place before which nothing can change any more; a little of what was released stays as
 * context, for `\b` and `^` look at it.
 */
import type { Match, Rule } from './rule.ts'

export interface TextStream {
  /** What may go on. `isLast`: all of it, nothing belonging to it follows. */
  readonly advance: (piece: string, isLast: boolean) => string
}

/** A match that still grows at the end of the text is held beyond any window: to so many characters. */
const MAX_GROWN = 16_384
/** And looked at again only when there is so much more: the whole effort stays linear. */
const GROWTH = 1.25

/** A character, and perhaps the other half of it. */
const CONTEXT = 2

export function maskedStream(rules: readonly Rule[], onMatch: (rule: Rule) => void): TextStream {
  let text = ''
  /** What is before it was released. */
  let from = 0
  let waitingFor = 0

  function release(decided: number, isLast: boolean): string {
    const seekers = rules.map((rule) => ({ rule, match: rule.find(text, from) }))
    let released = ''
    let to = decided
    for (;;) {
      let first: { readonly rule: Rule; readonly match: Match } | undefined
      for (const seeker of seekers) {
        if (seeker.match !== undefined && seeker.match.start < from)
          seeker.match = seeker.rule.find(text, from)
        const { rule, match } = seeker
        if (match !== undefined && match.start < (first?.match.start ?? to)) first = { rule, match }
      }
      if (first === undefined) break
      const { start, end } = first.match
      if (!isLast && end === text.length && end - start < MAX_GROWN) {
        waitingFor = text.length * GROWTH
        to = start
        break
      }
      onMatch(first.rule)
      released += text.slice(from, start) + first.rule.mask
      from = end
    }
    if (to > from) {
      released += text.slice(from, to)
      from = to
    }
    const dropped = Math.max(0, from - CONTEXT)
    text = text.slice(dropped)
    from -= dropped
    waitingFor -= dropped
    return released
  }

  return {
    advance(piece, isLast) {
      text += piece
      if (!isLast && text.length < waitingFor) return ''
      waitingFor = 0
      const decided = isLast ? text.length : decidedTo(rules, text, from)
      return decided > from ? release(decided, isLast) : ''
    },
  }
}

function decidedTo(rules: readonly Rule[], text: string, from: number): number {
  // The other half of the last character is still to come.
  const whole = /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text
  return rules.reduce((decided, rule) => Math.min(decided, rule.decidedTo(whole, from)), whole.length)
}

export const inOrder = (streams: readonly TextStream[]): TextStream => ({
  advance: (piece, isLast) => streams.reduce((text, stream) => stream.advance(text, isLast), piece),
})
