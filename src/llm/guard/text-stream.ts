/**
 * Text in pieces -> the same text with what the rules find masked, as if it had come in one.
 *
 * Of the matches of all rules the one that begins first counts, of those that begin together that of the first rule.
 * Text is released up to the place before which nothing can change any more; a little of what was released stays as
 * context, for `\b` and `^` look at it.
 */
import { CONTEXT, type Match, type Rule } from './rule.ts'

export interface TextStream {
  /** What may go on. `isLast`: all of it, nothing belonging to it follows. */
  readonly advance: (piece: string, isLast: boolean) => string
}

/** A match that still grows at the end of the text is held beyond any window: to so many characters. */
const MAX_GROWN = 16_384
/** Where more than this is held, it is looked at again only when a quarter more is there: the effort stays linear. */
const LOOKED_AT_ALWAYS = 512

export function maskedStream(rules: readonly Rule[], onMatch: (rule: Rule) => void): TextStream {
  let text = ''
  /** What is before it was released. */
  let from = 0
  let waitingFor = 0
  const searches = rules.map((rule) => ({ rule, find: rule.search() }))

  function release(decided: number, isLast: boolean): string {
    const seekers = searches.map(({ rule, find }) => ({ rule, find, match: find(text, from) }))
    let released = ''
    let to = decided
    for (;;) {
      let first: { readonly rule: Rule; readonly match: Match } | undefined
      for (const seeker of seekers) {
        if (seeker.match !== undefined && seeker.match.start < from) seeker.match = seeker.find(text, from)
        const { rule, match } = seeker
        if (match !== undefined && match.start < (first?.match.start ?? to)) first = { rule, match }
      }
      if (first === undefined) break
      const { start, end } = first.match
      if (!isLast && end === text.length && end - start < MAX_GROWN) {
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
    return released
  }

  return {
    advance(piece, isLast) {
      text += piece
      if (!isLast && text.length < waitingFor) return ''
      const decided = isLast ? text.length : decidedTo(rules, text, from)
      const released = decided > from ? release(decided, isLast) : ''
      const held = text.length - from
      waitingFor = held > LOOKED_AT_ALWAYS ? text.length + held / 4 : 0
      return released
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
