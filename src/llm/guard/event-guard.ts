/** A stream's events, guarded: what each format's guard is, and the one of a format. */
import type { WireFormat } from '../../core/exchange.ts'
import { chatEvents } from './chat-events.ts'
import { messagesEvents } from './messages-events.ts'
import { responsesEvents } from './responses-events.ts'
import type { TextStream } from './text-stream.ts'
import type { Edit, Json, Scope, TextKind } from './texts.ts'

export type Open = (scope: Scope, kind: TextKind) => TextStream

/** Both throw `GatewayError` where a guard rejects. */
export interface EventGuard {
  /** What may go out now that the event is there. */
  readonly step: (event: Json) => readonly Json[]
  /** What is held still. */
  readonly end: () => readonly Json[]
}

export function eventGuard(format: WireFormat, open: Open, edit: Edit): EventGuard {
  switch (format) {
    case 'completions':
      return chatEvents(open, edit)
    case 'messages':
      return messagesEvents(open)
    case 'responses':
      return responsesEvents(open, edit)
    case 'embeddings':
      return { step: (event) => [event], end: () => [] }
    default:
      format satisfies never
      return { step: (event) => [event], end: () => [] }
  }
}
