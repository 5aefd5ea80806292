/** Notifications and answers of a client: nothing comes back for them. */
import type { McpFacts } from '../core/exchange.ts'
import type { Headers } from '../core/headers.ts'
import { isNotification, isRequest, type RpcMessage } from './json-rpc.ts'
import { beginOperation } from './operation.ts'
import type { Session } from './session.ts'

export function hear(
  session: Session,
  messages: readonly RpcMessage[],
  headers: Headers,
  facts: McpFacts,
): void {
  for (const message of messages) {
    if (isRequest(message)) continue
    if (!isNotification(message)) {
      session.answered(message)
      continue
    }
    const operation = beginOperation(facts, message.method, undefined)
    session.told(message, headers)
    operation.endedAt = performance.now()
  }
}
