/** Whom to ask: the first tier in which somebody fares well, and there the better of two drawn at random. */
import type { Health } from './health.ts'

export interface Member {
  /** Undefined for one that has no alternative. */
  readonly health: Health | undefined
}

interface Chances {
  readonly now: number
  readonly random: () => number
}

/** The power of two choices: https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf */
function better<T extends Member>(members: readonly T[], random: () => number): T | undefined {
  if (members.length < 2) return members[0]
  const first = Math.floor(random() * members.length)
  const second = (first + 1 + Math.floor(random() * (members.length - 1))) % members.length
  const [one, other] = [members[first], members[second]]
  return (other?.health?.score ?? 0) > (one?.health?.score ?? 0) ? other : one
}

/** Of those that have not been asked; where all of them are evicted the one that is back first. */
export function choose<T extends Member>(
  tiers: readonly (readonly T[])[],
  asked: ReadonlySet<T>,
  { now, random }: Chances,
): T | undefined {
  const fresh = tiers.map((tier) => tier.filter((member) => !asked.has(member)))
  for (const tier of fresh) {
    const available = tier.filter(({ health }) => health?.isAvailable(now) !== false)
    if (available.length > 0) return better(available, random)
  }
  return fresh
    .flat()
    .reduce<T | undefined>(
      (soonest, member) =>
        soonest === undefined || (member.health?.evictedUntil ?? 0) < (soonest.health?.evictedUntil ?? 0)
          ? member
          : soonest,
      undefined,
    )
}
