/** A stream of Anthropic's messages, guarded: what is held of a block goes out before the block ends. */
import type { EventGuard, Open } from './event-guard.ts'
import type { TextStream } from './text-stream.ts'
import { isObject, type Json } from './texts.ts'

interface Block {
  readonly stream: TextStream
  readonly delta: (text: string) => Json
}

/** Delta's type -> where its text is, and whose it is. */
const DELTAS = new Map([
  ['text_delta', { field: 'text', scope: 'messages', kind: 'text' }],
  ['thinking_delta', { field: 'thinking', scope: 'messages', kind: 'text' }],
  ['input_json_delta', { field: 'partial_json', scope: 'toolInput', kind: 'json' }],
] as const)

const blockDelta = (index: unknown, delta: Json): Json => ({ type: 'content_block_delta', index, delta })

export function messagesEvents(open: Open): EventGuard {
  const blocks = new Map<unknown, Block>()

  function finish(index: unknown): Json[] {
    const block = blocks.get(index)
    const rest = block?.stream.advance('', true) ?? ''
    return block === undefined || rest === '' ? [] : [blockDelta(index, block.delta(rest))]
  }

  const end = () => [...blocks.keys()].flatMap(finish)

  function deltaOf(index: unknown, delta: Json): Json[] {
    const { type } = delta
    const known = DELTAS.get(type as 'text_delta')
    if (known === undefined)
      return [...(type === 'signature_delta' ? finish(index) : []), blockDelta(index, delta)]
    const { field, scope, kind } = known
    const block = blocks.get(index) ?? {
      stream: open(scope, kind),
      delta: (text) => ({ type, [field]: text }),
    }
    blocks.set(index, block)
    const released = block.stream.advance(String(delta[field] ?? ''), false)
    return released === '' ? [] : [blockDelta(index, block.delta(released))]
  }

  /** A block may begin with text. */
  function startOf(event: Json, block: Json): Json[] {
    for (const [type, { field }] of DELTAS) {
      const text = block[field]
      if (typeof text !== 'string' || text === '') continue
      const started = { ...event, content_block: { ...block, [field]: '' } }
      return [started, ...deltaOf(event.index, { type, [field]: text })]
    }
    return [event]
  }

  return {
    end,
    step(event) {
      const { type, index, delta, content_block: block } = event
      switch (type) {
        case 'ping':
          return [event]
        case 'content_block_start':
          return isObject(block) ? startOf(event, block) : [event]
        case 'content_block_delta':
          return isObject(delta) ? deltaOf(index, delta) : [event]
        case 'content_block_stop': {
          const rest = finish(index)
          blocks.delete(index)
          return [...rest, event]
        }
        default:
          return [...end(), event]
      }
    },
  }
}
