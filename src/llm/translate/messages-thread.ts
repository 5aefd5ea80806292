/**
 * Message threads: Anthropic keeps the conversation, and a later request brings only what is new.
 *
 * Anthropic's SDK uses them by itself in its tool runner. Whoever cannot look the earlier messages up must refuse:
 * an answer to half a conversation looks like any other. https://docs.claude.com/en/api/messages
 */
import { fail, isObject, type Json } from './request-values.ts'

/** Asking for a thread (`create`) loses nothing: the request is whole. */
export function refuseContinuedThread({ thread }: Json): void {
  if (!isObject(thread) || thread.type === 'create') return
  fail('thread', 'the provider keeps no conversations; send all messages, without thread')
}
