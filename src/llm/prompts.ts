/** `policies.ai.prompts`: fixed messages before and after the client's own, in the client's format. */
import type { WireFormat } from '../core/exchange.ts'

interface Prompt {
  readonly role: string
  readonly content: string
}

export interface Prompts {
  readonly prepend?: readonly Prompt[] | undefined
  readonly append?: readonly Prompt[] | undefined
}

type Body = Record<string, unknown>

const isSystem = ({ role }: Prompt) => role === 'system' || role === 'developer'
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

/** Anthropic has no system role inside `messages`: those prompts go around the `system` field. */
function enrichMessages(body: Body, before: readonly Prompt[], after: readonly Prompt[]): Body {
  const blocks = (prompts: readonly Prompt[]) =>
    prompts.filter(isSystem).map(({ content }) => ({ type: 'text', text: content }))
  const turns = (prompts: readonly Prompt[]) => prompts.filter((prompt) => !isSystem(prompt))
  const own = typeof body.system === 'string' ? [{ type: 'text', text: body.system }] : list(body.system)
  const system = [...blocks(before), ...own, ...blocks(after)]
  return {
    ...body,
    ...(system.length > 0 && { system }),
    messages: [...turns(before), ...list(body.messages), ...turns(after)],
  }
}

export function enrich(format: WireFormat, body: Body, prompts: Prompts): Body {
  const before = prompts.prepend ?? []
  const after = prompts.append ?? []
  switch (format) {
    case 'completions':
      return { ...body, messages: [...before, ...list(body.messages), ...after] }
    case 'messages':
      return enrichMessages(body, before, after)
    case 'responses': {
      const own = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : list(body.input)
      return { ...body, input: [...before, ...own, ...after] }
    }
    case 'embeddings':
      return body
    default:
      format satisfies never
      return body
  }
}
