/**
 * A pattern of the configuration's: RE2's syntax and linear time, whatever it is and whatever it is given.
 *
 * In a stream the end of the text is held back while it may become a match, and no longer than a match can be; where
 * that has no end, a window stands for it.
 */
import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'
import { longestMatch, openFrom } from './program.ts'
import { CONTEXT, type Match, type Rule } from './rule.ts'

type Library = typeof import('re2js')
let library: Library | undefined

/** Loaded with the first pattern. */
export function compilePattern(pattern: string): RE2JS {
  library ??= createRequire(import.meta.url)('re2js') as Library
  return library.RE2JS.compile(pattern)
}

/**
 * Of a pattern whose matches have no greatest length, characters: how much a stream holds back at most while they may
 * become a match, and how much it always holds back where the program is too large to be followed.
 */
const OPEN_WINDOW = 4096
const BLIND_WINDOW = 256

/** Instructions: following a larger program takes longer than its window is worth. */
const FOLLOWED_SIZE = 100

/**
 * A search may read on far behind the match that it finds. Those of the first matches in a text may, later ones see so
 * many characters: many matches together take linear time, too.
 */
const FAR_MATCHES = 32
const NEAR = 1024

/** Throws where it is no regular expression. */
export function patternRule(pattern: string): Rule {
  const regex = compilePattern(pattern)
  const length = longestMatch(regex)
  const isFollowed = regex.programSize() <= FOLLOWED_SIZE
  const window = isFollowed ? OPEN_WINDOW : BLIND_WINDOW
  // One more: whether a word ends is told by what is behind it.
  const held = 1 + (length === Number.POSITIVE_INFINITY ? window : length)
  return {
    name: 'pattern',
    mask: '<masked>',
    search() {
      let matches = 0
      return (text, from) => {
        for (let at = from; at <= text.length; ) {
          const found = matches < FAR_MATCHES ? look(regex, text, at) : lookNear(regex, text, at)
          if (found === undefined) return undefined
          matches += 1
          if (found.end > found.start) return found
          at = found.end + 1
        }
        return undefined
      }
    },
    decidedTo(text, from) {
      const open = Math.max(from, beforeLast(text, held))
      return isFollowed ? openFrom(regex, text, open) : open
    },
  }
}

function look(regex: RE2JS, text: string, from: number): Match | undefined {
  const matcher = regex.matcher(text)
  return matcher.find(from) ? { start: matcher.start(), end: matcher.end() } : undefined
}

function lookNear(regex: RE2JS, text: string, from: number): Match | undefined {
  for (let at = from; ; ) {
    const begin = Math.max(0, at - CONTEXT)
    const end = at + NEAR
    const seen = look(regex, text.slice(begin, end), at - begin)
    const found = seen && { start: begin + seen.start, end: begin + seen.end }
    if (end >= text.length) return found
    // What begins in the last part may go on behind it, and is looked at once more from where it begins.
    const sure = end - NEAR / 2
    if (found !== undefined && (found.start < sure || found.start === at)) return found
    at = found?.start ?? sure
  }
}

/** Where the last so many characters begin; some are two of JavaScript's. */
function beforeLast(text: string, characters: number): number {
  let at = text.length
  for (let left = characters; left > 0 && at > 0; left--) {
    const isPair = /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 2, at))
    at -= isPair ? 2 : 1
  }
  return at
}
