/**
 * The configuration's text as data, with the place of every value.
 *
 * The tree is walked here rather than by `Document.toJS()`, because references to the environment are replaced on
 * the way, duplicate keys are to name both lines, and aliases must neither explode nor turn in circles.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  Scalar,
  type YAMLError,
} from 'yaml'
import { type Expansion, type MaskedText, maskReferences, plainValue } from './environment.ts'
import type { Finding, Path } from './problem.ts'

export interface SourceDocument {
  /** Undefined when the text is not YAML; then `findings` says why. */
  readonly value: unknown
  readonly findings: readonly Finding[]
  /** The place of a finding; that of the nearest ancestor when its path is not in the file. */
  readonly locate: (finding: Finding) => Position
  /** References such as `$PORT` in the scalar at the path. */
  readonly referencesAt: (path: Path) => readonly string[]
  /** The text of a plain scalar with references, before it was read as a number, a boolean or nothing. */
  readonly expandedTextAt: (path: Path) => string | undefined
}

interface Position {
  readonly line: number
  readonly column: number
}

interface Source {
  readonly text: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly home: string | undefined
}

interface Place {
  readonly key: number | undefined
  readonly value: number
  /** The value is a list, an object or nothing: its key is the better place. */
  readonly preferKey: boolean
  readonly references: readonly string[]
  readonly expanded: string | undefined
}

const MAX_DEPTH = 100
/** Nodes that aliases may add in all; a few lines of nested aliases could otherwise stand for billions. */
const MAX_ALIASED_NODES = 100_000

/** An OpenAPI document that stands in the file is full of `$ref`, and none of them is a variable. */
function isVerbatim(path: Path): boolean {
  const at = path.indexOf('openapi')
  const within = path[at + 2]
  return at >= 0 && path[at + 1] === 'schema' && within !== 'file' && within !== 'url'
}

const placeKey = (path: Path) => path.map((part) => `${typeof part}:${part}`).join('\0')

/** Offset -> line and column, both from 1. */
function positionsIn(text: string): (offset: number) => Position {
  const starts = [0]
  for (const { index } of text.matchAll(/\n/g)) starts.push(index + 1)
  return (offset) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
  }
}

export function readDocument(source: Source): SourceDocument {
  const text = source.text.replace(/^\ufeff/, '')
  const position = positionsIn(text)
  const masked = maskReferences(text, source.environment)
  if (masked === undefined)
    return failed(position, { path: [], message: 'too many private use characters or references', offset: 0 })

  let document: Document.Parsed
  try {
    document = parseDocument(masked.text, { prettyErrors: false, uniqueKeys: false, merge: false })
  } catch (cause) {
    // The parser is recursive: a file of nothing but brackets overflows its stack.
    if (!(cause instanceof RangeError)) throw cause
    return failed(position, { path: [], message: 'nested too deeply', offset: 0 })
  }

  const complaints = [...document.errors, ...document.warnings]
  if (complaints.length > 0) {
    return failed(position, ...complaints.map((complaint) => syntaxFinding(complaint, masked)))
  }

  const walk = new Walk(masked, source.home, position)
  const value = walk.convert(document.contents, { path: [], key: undefined, depth: 0 })
  return {
    value,
    findings: walk.findings,
    locate: (finding) => position(finding.offset ?? walk.offsetOf(finding)),
    referencesAt: (path) => walk.places.get(placeKey(path))?.references ?? [],
    expandedTextAt: (path) => walk.places.get(placeKey(path))?.expanded,
  }
}

function syntaxFinding({ code, message, pos }: YAMLError, masked: MaskedText): Finding {
  const offset = pos[0]
  if (/call stack/.test(message)) return { path: [], message: 'nested too deeply', offset }
  if (code === 'MULTIPLE_DOCS')
    return { path: [], message: 'a second document begins here: keep one', offset }
  const hint = code === 'TAB_AS_INDENT' ? 'indent with spaces' : undefined
  return { path: [], message: masked.unmask(message), offset, hint }
}

function failed(position: (offset: number) => Position, ...findings: readonly Finding[]): SourceDocument {
  return {
    value: undefined,
    findings,
    locate: (finding) => position(finding.offset ?? 0),
    referencesAt: () => [],
    expandedTextAt: () => undefined,
  }
}

interface Spot {
  readonly path: Path
  readonly key: number | undefined
  readonly depth: number
}

/** One pass over the tree; holds what it learns on the way. */
class Walk {
  readonly places = new Map<string, Place>()
  readonly findings: Finding[] = []
  readonly #anchors = new Map<string, Node>()
  readonly #open = new Set<Node>()
  readonly #masked: MaskedText
  readonly #home: string | undefined
  readonly #position: (offset: number) => Position
  #insideAlias = false
  #aliasedNodes = 0

  constructor(masked: MaskedText, home: string | undefined, position: (offset: number) => Position) {
    this.#masked = masked
    this.#home = home
    this.#position = position
  }

  offsetOf(finding: Finding): number {
    for (let length = finding.path.length; length >= 0; length -= 1) {
      const place = this.places.get(placeKey(finding.path.slice(0, length)))
      if (place === undefined) continue
      const atKey = finding.atKey === true || place.preferKey || length < finding.path.length
      return (atKey ? place.key : undefined) ?? place.value
    }
    return 0
  }

  convert(node: Node | null, spot: Spot): unknown {
    if (node === null) return this.#place(spot, spot.key ?? 0, true, null)
    if (isAlias(node)) return this.#convertAlias(node.source, node.range?.[0] ?? 0, spot)
    if ('anchor' in node && node.anchor !== undefined) this.#anchors.set(node.anchor, node)
    const offset = node.range?.[0] ?? 0
    if (this.#insideAlias) {
      this.#aliasedNodes += 1
      if (this.#aliasedNodes === MAX_ALIASED_NODES)
        this.#complain(spot.path, offset, 'the aliases of this file stand for too many values')
      if (this.#aliasedNodes >= MAX_ALIASED_NODES) return null
    }
    if (isScalar(node)) return this.#convertScalar(node, offset, spot)
    if (spot.depth >= MAX_DEPTH) {
      this.#complain(spot.path, offset, 'nested too deeply')
      return null
    }
    this.#open.add(node)
    const value = isSeq(node)
      ? this.#convertList(node.items, offset, spot)
      : this.#convertMap(node, offset, spot)
    this.#open.delete(node)
    return value
  }

  #convertAlias(name: string, offset: number, spot: Spot): unknown {
    const target = this.#anchors.get(name)
    if (target === undefined || this.#open.has(target)) {
      const why = target === undefined ? 'has no anchor above it' : 'stands inside its own anchor'
      this.#complain(spot.path, offset, `the alias \`*${this.#masked.unmask(name)}\` ${why}`)
      return null
    }
    const outer = this.#insideAlias
    this.#insideAlias = true
    const value = this.convert(target, spot)
    this.#insideAlias = outer
    return value
  }

  #convertList(items: readonly unknown[], offset: number, spot: Spot): unknown[] {
    this.#place(spot, offset, true, undefined)
    return items.map((item, index) =>
      this.convert(item as Node | null, {
        path: [...spot.path, index],
        key: undefined,
        depth: spot.depth + 1,
      }),
    )
  }

  #convertMap(node: Node, offset: number, spot: Spot): Record<string, unknown> {
    this.#place(spot, offset, true, undefined)
    const object: Record<string, unknown> = {}
    const seen = new Map<string, number>()
    for (const pair of isMap(node) ? node.items : []) {
      const keyNode = pair.key as Node | null
      const keyOffset = keyNode?.range?.[0] ?? offset
      const key = this.#keyText(keyNode, spot.path, keyOffset)
      if (key === undefined) continue
      const path = [...spot.path, key]
      const before = seen.get(key)
      if (before !== undefined) {
        const { line } = this.#position(before)
        const message = `duplicate key \`${key}\`: it is already on line ${line}`
        this.findings.push({ path, message, offset: keyOffset })
        continue
      }
      seen.set(key, keyOffset)
      object[key] = this.convert(pair.value as Node | null, { path, key: keyOffset, depth: spot.depth + 1 })
    }
    return object
  }

  #keyText(node: Node | null, parent: Path, offset: number): string | undefined {
    const target = isAlias(node) ? this.#anchors.get(node.source) : node
    if (target !== null && !isScalar(target)) {
      this.#complain(parent, offset, 'a key must be text')
      return undefined
    }
    const { text, references } = this.#expand(target?.source ?? String(target?.value ?? ''), parent)
    for (const { problem } of references) if (problem) this.#complain([...parent, text], offset, problem)
    if (text === '__proto__' || text === '<<') {
      const message = text === '<<' ? 'merge keys (`<<`) are not supported' : `unknown key \`${text}\``
      this.#complain([...parent, text], offset, message)
      return undefined
    }
    return text
  }

  #convertScalar(node: Scalar, offset: number, spot: Spot): unknown {
    const source = typeof node.value === 'string' ? node.value : (node.source ?? '')
    const expansion = this.#expandHome(node, this.#expand(source, spot.path), offset, spot)
    const { references } = expansion
    const names = references.map((reference) => reference.source).filter((name) => name !== '$$')
    this.#complainOf(references, offset, spot.path)
    // Plain as in `port: $PORT`: what comes out may be a number. Quoted or tagged, it is text.
    const plain = node.type === Scalar.PLAIN && node.tag === undefined && references.length > 0
    const text = plain ? expansion.text.trim() : expansion.text
    const value = typeof node.value !== 'string' ? node.value : plain ? plainValue(text) : text
    return this.#place(
      spot,
      offset,
      node.type === Scalar.PLAIN && source === '',
      value,
      names,
      plain ? text : undefined,
    )
  }

  #expand(text: string, path: Path): Expansion {
    return isVerbatim(path) ? { text: this.#masked.unmask(text), references: [] } : this.#masked.expand(text)
  }

  /** `~/x` is a path below the home directory. */
  #expandHome(node: Scalar, expansion: Expansion, offset: number, spot: Spot): Expansion {
    const block = node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED
    if (block || typeof node.value !== 'string' || !node.value.startsWith('~/')) return expansion
    if (this.#home === undefined) {
      this.#complain(spot.path, offset, '`~` stands for the home directory, which is not known')
      return expansion
    }
    return { ...expansion, text: this.#home.replace(/\/$/, '') + expansion.text.slice(1) }
  }

  #place<T>(
    spot: Spot,
    value: number,
    preferKey: boolean,
    result: T,
    references: readonly string[] = [],
    expanded?: string,
  ): T {
    this.places.set(placeKey(spot.path), { key: spot.key, value, preferKey, references, expanded })
    return result
  }

  #complainOf(references: Expansion['references'], offset: number, path: Path): void {
    const problems = references.flatMap(({ problem }) => problem ?? [])
    // What looks like the name of a variable is a piece of a hash here, and not to be repeated.
    if (path.at(-1) === 'htpasswd' && problems.length > 0)
      this.#complain(path, offset, 'a variable is not set: a `$` of a hash is written `$$`')
    else for (const problem of problems) this.#complain(path, offset, problem)
  }

  #complain(path: Path, offset: number, message: string): void {
    this.findings.push({ path, message, offset, opaque: true })
  }
}
