/**
 * References to environment variables in the configuration's text: `$NAME`, `${NAME}`, `${NAME:-default}`, `$$`.
 *
 * Upstream replaces them in the text and parses the result, so a value can change the file's structure and a
 * comment can fail. Here each reference is first covered by a mask of the same length, made of characters that
 * mean nothing to YAML; then the text is parsed, and the masks in keys and values are replaced. So every line and
 * column is the file's own, a value can never add structure, references work in flow collections too
 * (`[${ORIGIN}]`), and comments are left alone.
 */

interface Reference {
  /** As written, `${PORT:-3000}`. */
  readonly source: string
  readonly value: string | undefined
  /** Why there is no value. */
  readonly problem: string | undefined
}

export interface MaskedText {
  /** As long as the original, with every reference covered. */
  readonly text: string
  /** A piece of the masked text (a scalar) with its references replaced. */
  readonly expand: (piece: string) => Expansion
  /** A piece of the masked text as it was written. */
  readonly unmask: (piece: string) => string
}

export interface Expansion {
  readonly text: string
  readonly references: readonly Reference[]
}

const REFERENCE = /\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([^}\r\n]*)\})/g
const BRACED = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/

// A mask is two characters that say which reference it is, then filling. They come from Unicode's private use
// area: the first stretch of it that the file itself does not use.
const STRETCHES = [0xe000, 0xe400, 0xe800, 0xec00, 0xf000, 0xf400]
const DIGITS = 0x1ff
const SECOND = 0x200
const FILLING = 0x3ff

function resolve(source: string, environment: Readonly<Record<string, string | undefined>>): Reference {
  if (source === '$$') return { source, value: '$', problem: undefined }
  const braced = source.startsWith('${')
  const [, name, fallback] = braced ? (BRACED.exec(source.slice(2, -1)) ?? []) : ['', source.slice(1)]
  if (name === undefined) {
    const problem = `\`${source}\` is not a reference to an environment variable: write \${NAME} or \${NAME:-default}, or $$ for a dollar sign`
    return { source, value: undefined, problem }
  }
  const value = environment[name]
  // As in a shell: `:-` also replaces an empty value.
  if (fallback !== undefined && (value === undefined || value === ''))
    return { source, value: fallback, problem: undefined }
  if (value !== undefined) return { source, value, problem: undefined }
  return { source, value: undefined, problem: `environment variable ${name} is not set` }
}

/** `undefined` when the text itself uses all of the private use area. */
export function maskReferences(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): MaskedText | undefined {
  const used = new Set<number>()
  for (const [character] of text.matchAll(/[\ue000-\uf7ff]/g)) used.add(character.charCodeAt(0) & 0xfc00)
  const base = STRETCHES.find((stretch) => !used.has(stretch))
  if (base === undefined) return undefined

  const references: Reference[] = []
  const masked = text.replace(REFERENCE, (source) => {
    const index = references.push(resolve(source, environment)) - 1
    const first = String.fromCharCode(base + Math.floor(index / DIGITS))
    const second = String.fromCharCode(base + SECOND + (index % DIGITS))
    return first + second + String.fromCharCode(base + FILLING).repeat(source.length - 2)
  })
  if (references.length > SECOND * DIGITS) return undefined

  const range = (from: number, to: number) =>
    `[${String.fromCharCode(base + from)}-${String.fromCharCode(base + to)}]`
  const mask = new RegExp(
    `(${range(0, SECOND - 1)})(${range(SECOND, FILLING - 1)})${range(FILLING, FILLING)}*`,
    'g',
  )
  const find = (first: string, second: string) =>
    references[(first.charCodeAt(0) - base) * DIGITS + (second.charCodeAt(0) - base - SECOND)]

  return {
    text: masked,
    expand(piece) {
      const found: Reference[] = []
      const expanded = piece.replace(mask, (covered, first: string, second: string) => {
        const reference = find(first, second)
        if (reference === undefined) return covered
        found.push(reference)
        return reference.value ?? reference.source
      })
      return { text: expanded, references: found }
    },
    unmask: (piece) =>
      piece.replace(mask, (covered, first: string, second: string) => find(first, second)?.source ?? covered),
  }
}

/** YAML 1.2's core schema, for plain scalars that only have their text once the environment is known. */
export function plainValue(text: string): unknown {
  if (/^(?:~|null|Null|NULL)?$/.test(text)) return null
  if (/^(?:true|True|TRUE)$/.test(text)) return true
  if (/^(?:false|False|FALSE)$/.test(text)) return false
  if (/^0o[0-7]+$/.test(text) || /^0x[0-9a-fA-F]+$/.test(text)) return Number(text)
  if (/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(text)) return Number(text)
  return text
}
