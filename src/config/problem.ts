/** What is wrong with a configuration file, and where: the words that every check of `config/` shares. */

/** Keys and indices from the top of the file. */
export type Path = readonly (string | number)[]

export interface Problem {
  /** The file's name, or `environment` for a variable that overrides a setting. */
  readonly file: string
  /** From 1; 0 when there is no place (`file` is `environment`). */
  readonly line: number
  readonly column: number
  /** `binds[0].listeners[0].routes`; empty when the file as a whole is meant. */
  readonly path: string
  readonly message: string
  readonly hint?: string
}

/** A problem before it is known where in the file its path stands. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly hint?: string | undefined
  /** Point at the key rather than at the value. */
  readonly atKey?: boolean
  /** The key is not there at all: its parent is pointed at. */
  readonly missing?: boolean
  /** The value could not be read: what else is found at the path only follows from that. */
  readonly opaque?: boolean
  /** Where the path says too little, such as for a syntax error. */
  readonly offset?: number
}

const PLAIN_KEY = /^[A-Za-z_$][\w$-]*$/

export function formatPath(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (!PLAIN_KEY.test(part)) text += `[${JSON.stringify(part)}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

/** True for the path itself and for everything below it. */
export function isWithin(path: Path, ancestor: Path): boolean {
  return path.length >= ancestor.length && ancestor.every((part, index) => part === path[index])
}

/** `a`, `b` or `c`, in backquotes. */
export function alternatives(words: readonly string[]): string {
  const quoted = words.map((word) => `\`${word}\``)
  const last = quoted.pop() ?? ''
  return quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`
}
