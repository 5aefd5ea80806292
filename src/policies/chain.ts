/** The policies of one request, in their order. */
import type { DirectReply, Policy, RequestHead } from './policy.ts'

/** The first reply that one of them gives. A promise only where one has to wait. */
export function onRequest(
  policies: readonly Policy[],
  head: RequestHead,
  from = 0,
): DirectReply | undefined | Promise<DirectReply | undefined> {
  for (let index = from; index < policies.length; index += 1) {
    const reply = policies[index]?.onRequest?.(head)
    if (reply instanceof Promise) return reply.then((given) => given ?? onRequest(policies, head, index + 1))
    if (reply !== undefined) return reply
  }
  return undefined
}
