/** What a guard looks for in a text. */
export interface Match {
  readonly start: number
  readonly end: number
}

export interface Rule {
  /** As the client and the log are told of it. */
  readonly name: string
  /** What stands in a match's place. */
  readonly mask: string
  /** The first match, never empty, that begins at `from` or later; what is before it counts as context. */
  readonly find: (text: string, from: number) => Match | undefined
  /** A place such that whatever follows the text can neither make nor unmake nor change a match that begins before it. */
  readonly decidedTo: (text: string, from: number) => number
}
