/** The policies of one request, in their order. */
import type { DirectReply, ModelRequest, Policy, RequestHead } from './policy.ts'

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

/** Of whoever is told what a model is asked. A promise only where one has to wait. */
export function onModelRequest(
  policies: readonly Policy[],
  head: RequestHead,
  request: ModelRequest,
  from = 0,
): undefined | Promise<undefined> {
  for (let index = from; index < policies.length; index += 1) {
    const told = policies[index]?.onModelRequest?.(head, request)
    if (told !== undefined) return told.then(() => onModelRequest(policies, head, request, index + 1))
  }
  return undefined
}
