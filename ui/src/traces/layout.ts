/**
 * Spans as rows of a waterfall: who is below whom, where each begins, and which of them held the request up.
 */
import type { ApiSpan } from '../../../src/admin/api-types.ts'

export interface Stretch {
  /** Shares of the whole, 0 to 1. */
  readonly left: number
  readonly width: number
}

export interface WaterfallRow {
  readonly span: ApiSpan
  readonly depth: number
  readonly childCount: number
  readonly isCollapsed: boolean
  readonly bar: Stretch
  /** Where nothing else was waited for but this span itself. */
  readonly critical: readonly Stretch[]
  /** Time in which the request waited for this span and none of its children. */
  readonly criticalMs: number
}

export interface Waterfall {
  readonly rows: readonly WaterfallRow[]
  /** Milliseconds since 1970. */
  readonly start: number
  readonly durationMs: number
}

interface Piece {
  readonly from: number
  readonly to: number
}

const endOf = (span: ApiSpan) => span.start + span.durationMs

interface Tree {
  readonly roots: readonly ApiSpan[]
  readonly childrenOf: (span: ApiSpan) => readonly ApiSpan[]
}

/** A span whose parent is not there (somebody else's, or not sampled) is a root; so is one of a circle. */
function treeOf(spans: readonly ApiSpan[]): Tree {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const children = new Map<string, ApiSpan[]>()
  const roots: ApiSpan[] = []

  const isInCircle = (span: ApiSpan) => {
    const seen = new Set<string>()
    let at: ApiSpan | undefined = span
    while (at?.parentSpanId !== undefined) {
      if (seen.has(at.spanId)) return true
      seen.add(at.spanId)
      at = byId.get(at.parentSpanId)
    }
    return false
  }

  for (const span of [...byId.values()].sort((a, b) => a.start - b.start)) {
    const parentId = span.parentSpanId
    if (parentId === undefined || !byId.has(parentId) || isInCircle(span)) roots.push(span)
    else children.set(parentId, [...(children.get(parentId) ?? []), span])
  }
  return { roots, childrenOf: (span) => children.get(span.spanId) ?? [] }
}

/**
 * Goes back from the end of a span: what ended last was waited for, and before it what had ended last when it began.
 * Clocks of several machines differ, so a child may stand out of its parent; it is cut there.
 */
function criticalPieces(root: ApiSpan, { childrenOf }: Tree): Map<string, Piece[]> {
  const found = new Map<string, Piece[]>()

  function walk(span: ApiSpan, from: number, to: number) {
    const pieces: Piece[] = []
    let at = to
    for (const child of [...childrenOf(span)].sort((a, b) => endOf(b) - endOf(a))) {
      const childTo = Math.min(endOf(child), at)
      const childFrom = Math.max(child.start, from)
      if (childTo <= childFrom) continue
      if (at > childTo) pieces.push({ from: childTo, to: at })
      walk(child, childFrom, childTo)
      at = childFrom
    }
    if (at > from) pieces.push({ from, to: at })
    found.set(span.spanId, pieces)
  }

  walk(root, root.start, endOf(root))
  return found
}

export function layoutWaterfall(spans: readonly ApiSpan[], collapsed: ReadonlySet<string>): Waterfall {
  if (spans.length === 0) return { rows: [], start: 0, durationMs: 0 }
  const tree = treeOf(spans)
  const start = Math.min(...spans.map((span) => span.start))
  const durationMs = Math.max(...spans.map(endOf)) - start
  const stretch = (from: number, to: number): Stretch =>
    durationMs === 0
      ? { left: 0, width: 1 }
      : { left: (from - start) / durationMs, width: (to - from) / durationMs }

  const rows: WaterfallRow[] = []
  function add(span: ApiSpan, depth: number, critical: Map<string, Piece[]>) {
    const pieces = critical.get(span.spanId) ?? []
    const children = tree.childrenOf(span)
    const isCollapsed = collapsed.has(span.spanId) && children.length > 0
    rows.push({
      span,
      depth,
      childCount: children.length,
      isCollapsed,
      bar: stretch(span.start, endOf(span)),
      critical: pieces.map(({ from, to }) => stretch(from, to)),
      criticalMs: pieces.reduce((sum, { from, to }) => sum + to - from, 0),
    })
    if (!isCollapsed) for (const child of children) add(child, depth + 1, critical)
  }

  for (const root of tree.roots) add(root, 0, criticalPieces(root, tree))
  return { rows, start, durationMs }
}
