/**
 * Questions to the syntax tree of a PromQL query.
 *
 * The grammar is made for editors: it takes `a - b offset 1h` for `(a - b) offset 1h`. To Prometheus an offset or a
 * range belongs to the selector that it follows in the text, and so it does here.
 */
import type { SyntaxNode } from '@lezer/common'

export const textOf = (node: SyntaxNode, query: string) => query.slice(node.from, node.to)

export function* ancestors(node: SyntaxNode): Generator<SyntaxNode> {
  for (let { parent } = node; parent !== null; { parent } = parent) yield parent
}

export const POSTFIX = new Set(['MatrixSelector', 'OffsetExpr', 'StepInvariantExpr'])

/** `[5m]` and `offset 1h` directly behind a selector. */
export function modifiersOf(node: SyntaxNode, query: string): { range?: string; offset?: string } {
  const found: { range?: string; offset?: string } = {}
  let end = node.to
  for (const parent of ancestors(node)) {
    if (!POSTFIX.has(parent.name) || parent.firstChild?.to !== end) continue
    const duration = parent.getChild('DurationExpr') ?? parent.getChild('OffsetDurationExpr')
    if (parent.name === 'MatrixSelector' && duration !== null) found.range = textOf(duration, query)
    if (parent.name === 'OffsetExpr' && duration !== null) found.offset = textOf(duration, query)
    end = parent.to
  }
  return found
}

export function operatorOf(around: readonly SyntaxNode[], query: string): { operator?: string } {
  const parent = around.find(({ name }) => name !== 'ParenExpr' && !POSTFIX.has(name))
  const operator = parent?.name === 'BinaryExpr' ? parent.firstChild?.nextSibling : undefined
  return operator == null ? {} : { operator: textOf(operator, query) }
}

/** Right of `and` or `unless`: decides which series of the left there are, and adds nothing to them. */
export const isFilter = (node: SyntaxNode) =>
  [...ancestors(node)].some((parent) => {
    const operator = parent.getChild('And') ?? parent.getChild('Unless')
    return parent.name === 'BinaryExpr' && operator !== null && node.from >= operator.to
  })

/** The range or expression that an offset shifts. */
export function withoutOffset(node: SyntaxNode): SyntaxNode {
  const isShifted = node.name === 'OffsetExpr' || node.name === 'StepInvariantExpr'
  return isShifted && node.firstChild !== null ? withoutOffset(node.firstChild) : node
}
