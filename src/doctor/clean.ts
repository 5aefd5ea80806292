/** What others wrote, fit for one line of a terminal: no controls, no secrets, not too long. */

export type Clean = (text: string) => string

const LONGEST = 240
/** Of which the line is made. */
const LONGEST_READ = 20_000
/** Shorter ones are words such as `admin`; whoever has one of those has no secret. */
const SHORTEST_SECRET = 8
/** Keys that are not ours to know: a gateway's own, or one that a provider echoes half-masked. */
const LIKE_A_KEY = /\b(sk|pk)-[\w*-]{6,}/g

export function cleaner(secrets: readonly (string | undefined)[]): Clean {
  const known = secrets.filter((secret) => secret !== undefined && secret.length >= SHORTEST_SECRET)
  return (text) => {
    let line = text
      .slice(0, LONGEST_READ)
      .replace(/[\p{C}\p{Z}\s]+/gu, ' ')
      .trim()
    for (const secret of known) line = line.replaceAll(String(secret), '***')
    line = line.replace(LIKE_A_KEY, '$1-***')
    return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line
  }
}

export const seconds = (ms: number) => `${(ms / 1000).toFixed(1).replace(/\.0$/, '')} s`

export const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`
