/**
 * What re2js' matcher does not tell and its compiled program does: how long a match can be, and whether the end of a
 * text may become one. https://swtch.com/~rsc/regexp/regexp2.html
 */
import type { RE2JS } from 're2js'

interface Instruction {
  readonly op: number
  readonly out: number
  /** The other way, of a fork. */
  readonly arg: number
  readonly matchRune: (character: number) => boolean
}

interface Program {
  readonly inst: readonly Instruction[]
  readonly start: number
}

/** `Inst` has these numbers; what is between MATCH and the characters consumes nothing. */
const FORKS = new Set([1, 2])
const FAIL = 5
const MATCH = 6
const [CHARACTERS, ANY, ANY_BUT_NEWLINE] = [8, 10, 11]

/** Longer than anybody wants to wait for. */
const MAX_DEPTH = 4096

const waysFrom = ({ op, out, arg }: Instruction) =>
  op === MATCH || op === FAIL ? [] : FORKS.has(op) ? [out, arg] : [out]

/** In characters: the longest way through the program; infinite where it has a loop. */
export function longestMatch(regex: RE2JS): number {
  const { inst, start }: Program = regex.re2().prog
  const known = new Map<number, number>()

  function from(place: number, depth: number): number {
    const told = known.get(place)
    if (told !== undefined) return told
    const instruction = inst[place]
    if (instruction === undefined || depth > MAX_DEPTH) return Number.POSITIVE_INFINITY
    // Whoever comes back here is in a loop.
    known.set(place, Number.POSITIVE_INFINITY)
    const rest = Math.max(0, ...waysFrom(instruction).map((way) => from(way, depth + 1)))
    const length = rest + (instruction.op >= CHARACTERS ? 1 : 0)
    known.set(place, length)
    return length
  }
  return from(start, 0)
}

/**
 * The first place from which the text may be the beginning of a match that goes on behind its end, or ends there.
 * What stands around a match (`\b`, `^`) is not looked at: rather too much is held than too little.
 */
export function openFrom(regex: RE2JS, text: string, from: number): number {
  const { inst, start }: Program = regex.re2().prog
  /** Place in the program -> where the first match began that is there. */
  let threads = new Map<number, number>()

  function follow(into: Map<number, number>, first: number, begun: number): void {
    const open = [first]
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      const instruction = inst[place]
      if (instruction === undefined || (into.get(place) ?? text.length + 1) <= begun) continue
      into.set(place, begun)
      if (instruction.op < CHARACTERS) open.push(...waysFrom(instruction))
    }
  }

  for (let at = from; at < text.length; ) {
    const character = text.codePointAt(at) ?? 0
    follow(threads, start, at)
    const next = new Map<number, number>()
    for (const [place, begun] of threads) {
      const instruction = inst[place]
      if (instruction !== undefined && consumes(instruction, character)) follow(next, instruction.out, begun)
    }
    threads = next
    at += character > 0xffff ? 2 : 1
  }
  return Math.min(text.length, ...threads.values())
}

function consumes(instruction: Instruction, character: number): boolean {
  const { op } = instruction
  if (op < CHARACTERS) return false
  if (op === ANY) return true
  return op === ANY_BUT_NEWLINE ? character !== 0x0a : instruction.matchRune(character)
}
