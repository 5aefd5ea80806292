/**
 * A pattern of the configuration's: RE2's syntax and linear time, whatever it is and whatever it is given.
 *
 * In a stream the end of the text is held back while it may become a match, and no longer than a match can be; where
 * that has no end, a window stands for it.
 */
import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'
import { longestMatch, openFrom } from './program.ts'
import type { Rule } from './rule.ts'

type Library = typeof import('re2js')
let library: Library | undefined

/** Loaded with the first pattern. */
function compile(pattern: string): RE2JS {
  library ??= createRequire(import.meta.url)('re2js') as Library
  return library.RE2JS.compile(pattern)
}

/** Characters that a stream holds back at most for a pattern whose matches have no greatest length. */
const WINDOW = 256

/** Instructions: following a larger program takes longer than its window is worth. */
const FOLLOWED_SIZE = 100

/** Throws where it is no regular expression. */
export function patternRule(pattern: string): Rule {
  const regex = compile(pattern)
  const length = longestMatch(regex)
  // One more: whether a word ends is told by what is behind it.
  const held = 1 + (length === Number.POSITIVE_INFINITY ? WINDOW : length)
  const isSmall = regex.programSize() <= FOLLOWED_SIZE
  return {
    name: 'pattern',
    mask: '<masked>',
    find(text, from) {
      const matcher = regex.matcher(text)
      for (let at = from; at <= text.length && matcher.find(at); at = matcher.end() + 1) {
        if (matcher.end() > matcher.start()) return { start: matcher.start(), end: matcher.end() }
      }
      return undefined
    },
    decidedTo(text, from) {
      const window = Math.max(from, beforeLast(text, held))
      return isSmall ? openFrom(regex, text, window) : window
    },
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
