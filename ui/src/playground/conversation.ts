/**
 * The conversation of this tab. It outlives the page, so that a look at its trace does not lose it.
 */
import { computed, signal } from '@preact/signals'
import type { LogEntry } from '../../../src/admin/api-types.ts'
import { keepsRequests } from '../session/session.ts'
import { askModel, findRecord, NO_REPLY, type Reply } from './ask.ts'
import type { ChatSettings, ChatTurn } from './wire.ts'

export interface Exchange {
  readonly id: number
  readonly question: string
  readonly model: string
  readonly reply: Reply
  /** Undefined while it is looked for, null when it was not found. */
  readonly record: LogEntry | null | undefined
}

export interface Settings {
  readonly system: string
  readonly temperature: string
  readonly maxTokens: string
  readonly isStreamed: boolean
}

export const settings = signal<Settings>({ system: '', temperature: '', maxTokens: '', isStreamed: true })
export const draft = signal('')
export const exchanges = signal<readonly Exchange[]>([])
export const isAsking = computed(() => exchanges.value.some(({ reply }) => !reply.isDone))

let running: AbortController | undefined
let lastId = 0

function change(id: number, changes: Partial<Exchange>) {
  exchanges.value = exchanges.value.map((one) => (one.id === id ? { ...one, ...changes } : one))
}

/** What was said so far; an answer that failed is not part of it. */
function turnsOf(before: readonly Exchange[], question: string): readonly ChatTurn[] {
  const said = before
    .filter(({ reply }) => reply.text !== '' && reply.error === undefined)
    .flatMap(({ question: asked, reply }): ChatTurn[] => [
      { role: 'user', text: asked },
      { role: 'assistant', text: reply.text },
    ])
  return [...said, { role: 'user', text: question }]
}

export async function ask(port: number, chat: ChatSettings, question: string): Promise<void> {
  const controller = new AbortController()
  running = controller
  lastId += 1
  const id = lastId
  const turns = turnsOf(exchanges.value, question)
  exchanges.value = [
    ...exchanges.value,
    { id, question, model: chat.model, reply: NO_REPLY, record: undefined },
  ]

  const reply = await askModel({
    port,
    settings: chat,
    turns,
    signal: controller.signal,
    onReply: (now) => change(id, { reply: now }),
  })
  if (reply.traceId === undefined || !keepsRequests()) return change(id, { record: null })
  const record = await findRecord(reply.traceId, new AbortController().signal)
  change(id, { record: record ?? null })
}

export function stop(): void {
  running?.abort()
}

export function clear(): void {
  stop()
  exchanges.value = []
}

/** Undefined for an empty field, and for one that is no number. */
export function numberOf(text: string): number | undefined {
  const value = Number(text)
  return text.trim() === '' || !Number.isFinite(value) ? undefined : value
}
