/**
 * The patterns that have a name: by shape, and by check digits where there are some.
 *
 * They are JavaScript's own expressions, which are safe here: every repetition is bounded, so that each place of a
 * text costs a constant. What a stream must hold back is not a length but the end of the text that may still become
 * a match: the number or the word that is being written.
 */
import type { Find, Rule } from './rule.ts'

export const BUILTINS = ['ssn', 'creditCard', 'phoneNumber', 'email', 'caSin'] as const
export type Builtin = (typeof BUILTINS)[number]

/** The longest that a match of numbers is, with the character behind it that it must not be followed by. */
const NUMBER_LENGTH = 40
const OPEN_NUMBER = new RegExp(`[+(\\d][\\d ().+/-]{0,${NUMBER_LENGTH - 1}}$`)

const OPEN_EMAIL = /[\p{L}\p{N}._%+-]{1,64}(?:@(?:[\p{L}\p{N}-]{1,63}\.){0,8}[\p{L}\p{N}-]{0,63})?$/u
/** Twice the characters, for some of them are two of JavaScript's. */
const EMAIL_LENGTH = 2 * (64 + 1 + 8 * 64 + 63)

function endingWith(open: RegExp, length: number): Rule['decidedTo'] {
  return (text, from) => {
    const start = Math.max(from, text.length - length)
    const tail = open.exec(text.slice(start))
    return tail === null ? text.length : start + tail.index
  }
}

/** `end`: how far into the matched text it is one; undefined when it is none after all. */
function finder(pattern: RegExp, end: (match: string) => number | undefined): Find {
  return (text, from) => {
    pattern.lastIndex = from
    for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
      const start = found.index
      const length = end(found.groups?.ahead ?? found[0])
      if (length !== undefined) return { start, end: start + length }
      pattern.lastIndex = start + 1
    }
    return undefined
  }
}

const whole = (match: string) => match.length
const digitsOf = (text: string) => text.replaceAll(/\D/g, '')

/** https://en.wikipedia.org/wiki/Luhn_algorithm */
function hasCheckDigit(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index])
    sum += index % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2
  }
  return sum % 10 === 0
}

/** Lengths and first digits of the issuers. https://en.wikipedia.org/wiki/Payment_card_number */
const CARD = new RegExp(
  `^(?:${[
    '1\\d{14}',
    '2(?:22[1-9]|2[3-9]\\d|[3-6]\\d\\d|7[01]\\d|720)\\d{12}',
    '3[47]\\d{13}',
    '3(?:0[0-5]|[689]\\d)\\d{11,16}',
    '35\\d{14,17}',
    '4(?:\\d{12}|\\d{15}|\\d{18})',
    '5[1-5]\\d{14}',
    '5[06-8]\\d{11,17}',
    '6\\d{15,18}',
  ].join('|')})$`,
)

/** Of digits in groups the longest run of whole groups that is a card's number: `12/26` may follow it after a space. */
function cardLength(groups: string): number | undefined {
  for (let end = groups.length; end > 0; end--) {
    if (/\d/.test(groups[end] ?? '')) continue
    const digits = digitsOf(groups.slice(0, end))
    if (digits.length < 13) return undefined
    if (/\d/.test(groups[end - 1] ?? '') && CARD.test(digits) && hasCheckDigit(digits)) return end
  }
  return undefined
}

/** https://www.ssa.gov/employer/randomization.html: no area 000, 666 or 9xx, no group 00, no serial 0000. */
const isIssuedSsn = (digits: string) => /^(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}$/.test(digits)

const NOT_AFTER_WORD = '(?<![\\p{L}\\p{N}_])'
const NOT_BEFORE_WORD = '(?![\\p{L}\\p{N}_])'

const SSN = [
  '(?<!\\d)\\d{3}(?<separator>[-. ])\\d{2}\\k<separator>\\d{4}(?!\\d)',
  `${NOT_AFTER_WORD}(?:\\d{9}|\\d{5}-\\d{4}|\\d{3}-\\d{6})${NOT_BEFORE_WORD}`,
].join('|')
const SIN = `${NOT_AFTER_WORD}(?:\\d{9}|\\d{3}(?<separator>[- ])\\d{3}\\k<separator>\\d{3})${NOT_BEFORE_WORD}`
const CARD_DIGITS = '(?<!\\d)(?=(?<ahead>\\d(?:[ -]?\\d){12,18}(?!\\d)))'

const PHONE = [
  // International: a plus, and digits in groups.
  '\\+[1-9]\\d{0,2}[ ./-]?(?:\\(\\d{1,4}\\)[ ./-]?)?\\d(?:[ ./-]?\\d){4,11}',
  // North America: 3-3-4, the first group perhaps in parentheses; or ten digits. India's mobiles are ten, too.
  '(?:1[ .-]?)?(?:\\([2-9]\\d{2}\\) ?|[2-9]\\d{2}[ .-]?)[2-9]\\d{2}[ .-]?\\d{4}',
  '[6-9]\\d{4}[ -]?\\d{5}',
  // With a trunk prefix: Great Britain, Germany, India, Israel.
  '\\(?0[1-9]\\d{1,4}\\)?(?:[ /-]?\\d){5,8}',
  '0[2-9]-\\d{7}',
  // Brazil.
  '(?:\\([1-9]\\d\\) ?|[1-9]\\d )9?\\d{4}-?\\d{4}',
]

/** Looked for at each `@`, for long words without one are common: whatever is in base64. */
const LOCAL_PART = /[\p{L}\p{N}._%+-]{1,64}$/u
const DOMAIN = /(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,63}/uy

const findEmail: Find = (text, from) => {
  for (let at = text.indexOf('@', from); at >= 0; at = text.indexOf('@', at + 1)) {
    const before = Math.max(from, at - 2 * 64)
    const local = LOCAL_PART.exec(text.slice(before, at))
    DOMAIN.lastIndex = at + 1
    if (local !== null && DOMAIN.test(text)) return { start: before + local.index, end: DOMAIN.lastIndex }
  }
  return undefined
}

const number = (
  name: Builtin,
  mask: string,
  pattern: string,
  end: (match: string) => number | undefined = whole,
): Rule => {
  const find = finder(new RegExp(pattern, 'gu'), end)
  return { name, mask, search: () => find, decidedTo: endingWith(OPEN_NUMBER, NUMBER_LENGTH) }
}

export const BUILTIN_RULES: Readonly<Record<Builtin, Rule>> = {
  ssn: number('ssn', '<SSN>', SSN, (match) => (isIssuedSsn(digitsOf(match)) ? match.length : undefined)),
  creditCard: number('creditCard', '<CREDIT_CARD>', CARD_DIGITS, cardLength),
  phoneNumber: number(
    'phoneNumber',
    '<PHONE_NUMBER>',
    `${NOT_AFTER_WORD}(?:${PHONE.join('|')})${NOT_BEFORE_WORD}`,
  ),
  email: {
    name: 'email',
    mask: '<EMAIL_ADDRESS>',
    search: () => findEmail,
    decidedTo: endingWith(OPEN_EMAIL, EMAIL_LENGTH),
  },
  caSin: number('caSin', '<CA_SIN>', SIN, (match) =>
    hasCheckDigit(digitsOf(match)) && !match.startsWith('000') ? match.length : undefined,
  ),
}
