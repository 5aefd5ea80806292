/** What all that is written on a tape is made of. Of a list the first members are kept. */
import { MAX_MEMBERS } from './fields.ts'
import type { Tape, TapeReader } from './tape.ts'

/** A text that was there, or a member of a closed set: what was written is what it was. */
export const word = <T>(from: TapeReader): T => from.text() as T

export const ownWord = (from: TapeReader): string => from.ownText() ?? ''

export const number = (from: TapeReader): number => from.number() ?? 0

export function writeList<T>(
  tape: Tape,
  list: readonly T[] | undefined,
  write: (tape: Tape, one: T) => void,
): void {
  if (list === undefined) {
    tape.count(undefined)
    return
  }
  const kept = firstOf(list)
  tape.count(kept.length)
  for (const one of kept) write(tape, one)
}

export function readList<T>(from: TapeReader, read: (from: TapeReader) => T): T[] | undefined {
  const length = from.count()
  if (length === undefined) return undefined
  return Array.from({ length }, () => read(from))
}

export const firstOf = <T>(list: readonly T[]): readonly T[] =>
  list.length > MAX_MEMBERS ? list.slice(0, MAX_MEMBERS) : list

export const writeText = (tape: Tape, text: string) => tape.text(text)
export const readText = (from: TapeReader): string => word(from)
