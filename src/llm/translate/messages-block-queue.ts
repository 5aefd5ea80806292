/**
 * Blocks of a messages stream that may be written at once but must be sent one after the other: the head of the queue
 * is open and live, the others collect their pieces until it is their turn.
 */
import type { BlockDelta, ContentBlock, MessagesStreamEvent } from '../wire/anthropic-messages.ts'

export interface Block {
  readonly kind: 'text' | 'thinking' | 'tool'
  /** Of a tool. */
  readonly id: string
  readonly name: string
  /** Pieces that wait until the block is open. */
  pending: string[]
  hasContent: boolean
  isComplete: boolean
}

export interface BlockQueue {
  /** Blocks that are not closed yet; the first may be open. */
  readonly blocks: Block[]
  headIsOpen: boolean
  /** Number of blocks that were opened. */
  opened: number
  /** Events that nobody took yet. */
  readonly events: MessagesStreamEvent[]
}

export const blockQueue = (): BlockQueue => ({ blocks: [], headIsOpen: false, opened: 0, events: [] })

export function addBlock(queue: BlockQueue, kind: Block['kind'], id: string, name: string): Block {
  const block: Block = { kind, id, name, pending: [], hasContent: false, isComplete: false }
  queue.blocks.push(block)
  pump(queue)
  return block
}

export function writeToBlock(queue: BlockQueue, block: Block, piece: string): void {
  if (piece === '' || block.isComplete) return
  block.hasContent = true
  block.pending.push(piece)
  pump(queue)
}

export function completeBlock(queue: BlockQueue, block: Block): void {
  block.isComplete = true
  pump(queue)
}

export function completeAll(queue: BlockQueue): void {
  for (const block of queue.blocks) block.isComplete = true
  pump(queue)
}

/** Sends all that may be sent now. */
function pump(queue: BlockQueue): void {
  for (;;) {
    const head = queue.blocks[0]
    if (head === undefined) return
    if (!queue.headIsOpen) open(queue, head)
    sendPending(queue, head)
    if (!head.isComplete) return
    close(queue)
  }
}

function open(queue: BlockQueue, block: Block): void {
  queue.events.push({ type: 'content_block_start', index: queue.opened, content_block: emptyBlock(block) })
  queue.opened += 1
  queue.headIsOpen = true
}

function emptyBlock(block: Block): ContentBlock {
  switch (block.kind) {
    case 'text':
      return { type: 'text', text: '' }
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' }
    case 'tool':
      return { type: 'tool_use', id: block.id, name: block.name, input: {} }
  }
}

function sendPending(queue: BlockQueue, block: Block): void {
  if (block.pending.length === 0) return
  const delta = blockDelta(block, block.pending.join(''))
  block.pending = []
  queue.events.push({ type: 'content_block_delta', index: queue.opened - 1, delta })
}

function blockDelta(block: Block, text: string): BlockDelta {
  switch (block.kind) {
    case 'text':
      return { type: 'text_delta', text }
    case 'thinking':
      return { type: 'thinking_delta', thinking: text }
    case 'tool':
      return { type: 'input_json_delta', partial_json: text }
  }
}

function close(queue: BlockQueue): void {
  queue.events.push({ type: 'content_block_stop', index: queue.opened - 1 })
  queue.blocks.shift()
  queue.headIsOpen = false
}
