/** Rounds: every candidate once, in a new order each time, and which of the rounds count. */
import type { Settings } from './settings.ts'
import { type Spread, shuffled, spreadOf } from './statistics.ts'

/** What a round found of each candidate, by its name. */
export type Round<T> = ReadonlyMap<string, T>

interface Candidate {
  readonly name: string
}

/** For which reasons a round tells of the generator, or of failures, and not of the candidates. */
export type Limits<T> = (round: Round<T>) => readonly string[]

/** A round that does not count is played again, until all count or twice as many were played; not where it is to be quick. */
export async function playRounds<C extends Candidate, T>(
  { rounds, quick, progress }: Pick<Settings, 'rounds' | 'quick' | 'progress'>,
  candidates: readonly C[],
  /** Resolves with what was found, and with words about it. */
  measure: (candidate: C) => Promise<{ readonly found: T; readonly words: string }>,
  limits: Limits<T>,
): Promise<Round<T>[]> {
  const played: Round<T>[] = []
  const most = quick ? rounds : 2 * rounds
  let counted = 0
  for (let round = 1; counted < rounds && round <= most; round++) {
    const all = new Map<string, T>()
    for (const candidate of shuffled(candidates)) {
      const { found, words } = await measure(candidate)
      all.set(candidate.name, found)
      progress(
        `round ${round > rounds ? `${round}, again` : `${round}/${rounds}`}: ${candidate.name}: ${words}`,
      )
    }
    played.push(all)
    if (limits(all).length === 0) counted++
  }
  return played
}

export interface Judged<T> {
  /** The rounds that count; all of them when too few do. */
  readonly kept: readonly Round<T>[]
  /** Rounds that do not count, in words; empty when all do. */
  readonly dropped: readonly string[]
  /** Why the cell does not count; empty when it does. */
  readonly invalid: readonly string[]
}

/** A cell counts when at least this share of the rounds that were wanted does. */
const ENOUGH = 2 / 3

export function judge<T>(rounds: readonly Round<T>[], limits: Limits<T>, wanted: number): Judged<T> {
  const judged = rounds.map((round) => ({ round, reasons: limits(round) }))
  const kept = judged.filter(({ reasons }) => reasons.length === 0).map(({ round }) => round)
  const reasons = judged.flatMap((one, index) => one.reasons.map((reason) => `round ${index + 1}: ${reason}`))
  return kept.length > 0 && kept.length >= wanted * ENOUGH
    ? { kept, dropped: reasons, invalid: [] }
    : { kept: rounds, dropped: [], invalid: reasons }
}

export interface Tails<T> extends Pick<Judged<T>, 'kept'> {
  /** Why they do not count; empty when they do. */
  readonly doubtful: readonly string[]
  /** The value of an aim that is one of them, where they count. */
  readonly aim: (value: Spread | undefined) => { readonly value: Spread | undefined; readonly note?: string }
}

/** The same for figures of the last percent, which need more. */
export function judgeTails<T>(rounds: readonly Round<T>[], limits: Limits<T>, wanted: number): Tails<T> {
  const { kept, invalid } = judge(rounds, limits, wanted)
  return {
    kept,
    doubtful: invalid,
    aim: (value) => (invalid.length === 0 ? { value } : { value: undefined, note: invalid[0] ?? '' }),
  }
}

/** One figure of one candidate, over the rounds. */
export const over = <T>(
  rounds: readonly Round<T>[],
  name: string,
  figure: (found: T) => number | undefined,
): Spread | undefined =>
  spreadOf(
    rounds.map((round) => {
      const found = round.get(name)
      return found === undefined ? undefined : figure(found)
    }),
  )

/** One candidate against another of the same round, over the rounds. */
export function paired<T>(
  rounds: readonly Round<T>[],
  [name, other]: readonly [string, string],
  figure: (found: T) => number | undefined,
  compare: (ours: number, theirs: number) => number,
): Spread | undefined {
  return spreadOf(
    rounds.map((round) => {
      const [one, two] = [round.get(name), round.get(other)]
      const [ours, theirs] = [one && figure(one), two && figure(two)]
      return ours === undefined || theirs === undefined ? undefined : compare(ours, theirs)
    }),
  )
}

export const ratio = (ours: number, theirs: number) => ours / theirs
export const excess = (ours: number, theirs: number) => ours - theirs
