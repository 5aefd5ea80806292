import type { LogEntry } from '../../../src/admin/api-types.ts'
import { isObject, parseJson, prettyPrint, readText } from '../format/json.ts'
import { CodeBlock } from '../parts/code-block.tsx'

interface Turn {
  readonly role: string
  readonly text: string
}

/** Chat messages where the payload is a list of them, in OpenAI's or Anthropic's shape. */
function turnsOf(text: string): readonly Turn[] | undefined {
  const value = parseJson(text)
  if (!Array.isArray(value) || value.length === 0) return undefined
  if (!value.every((turn) => isObject(turn) && typeof turn.role === 'string')) return undefined
  return value.map((turn) => ({
    role: readText(turn, 'role') ?? '',
    text:
      readText(turn, 'content') ??
      JSON.stringify(isObject(turn) ? (turn.content ?? turn) : turn, undefined, 2),
  }))
}

function plainText(text: string): string {
  const value = parseJson(text)
  if (typeof value === 'string') return value
  if (Array.isArray(value) && value.every((part) => typeof part === 'string')) return value.join('\n\n')
  return prettyPrint(text)
}

export function PayloadSection({ log }: { readonly log: LogEntry }) {
  const { payload, hasPayload } = log
  if (payload?.requestPrompt === undefined && payload?.responseCompletion === undefined) {
    if (!hasPayload) return null
    return <p class="soft">The payload of this request was kept, but is not there any more.</p>
  }
  return (
    <section class="stack" aria-label="Payload">
      <h3>Payload</h3>
      {payload.requestPrompt !== undefined && <Part title="Prompt" text={payload.requestPrompt} />}
      {payload.responseCompletion !== undefined && (
        <Part title="Completion" text={payload.responseCompletion} />
      )}
    </section>
  )
}

function Part({ title, text }: { readonly title: string; readonly text: string }) {
  const turns = turnsOf(text)
  return (
    <details open>
      <summary>{title}</summary>
      <div class="stack payload">
        {turns === undefined ? (
          <CodeBlock title={title} text={plainText(text)} isWrapped />
        ) : (
          turns.map((turn, index) => (
            <CodeBlock key={`${index}${turn.role}`} title={turn.role} text={turn.text} isWrapped />
          ))
        )}
      </div>
    </details>
  )
}
