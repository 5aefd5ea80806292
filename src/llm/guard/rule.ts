/** What a guard looks for in a text. */
export interface Match {
  readonly start: number
  readonly end: number
}

/** What is before `from` counts as context. */
export type Find = (text: string, from: number) => Match | undefined

export interface Rule {
  /** As the client and the log are told of it. */
  readonly name: string
  /** What stands in a match's place. */
  readonly mask: string
  /** For one text, however it comes: what finds the first match, never empty, that begins at `from` or later. */
  readonly search: () => Find
  /** A place such that whatever follows the text can neither make nor unmake nor change a match that begins before it. */
  readonly decidedTo: (text: string, from: number) => number
}

/** A character, and perhaps the other half of it: what `\b` and `^` look at before a match. */
export const CONTEXT = 2
