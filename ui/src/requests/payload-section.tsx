import type { LogEntry } from '../../../src/admin/api-types.ts'
import { parseJson, prettyPrint } from '../format/json.ts'
import { CodeBlock } from '../parts/code-block.tsx'
import { readPrompt } from './prompt.ts'

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
  const prompt = readPrompt(text)
  return (
    <details open>
      <summary>{title}</summary>
      <div class="stack payload">
        {prompt === undefined ? (
          <CodeBlock title={title} text={plainText(text)} isWrapped />
        ) : (
          <>
            {prompt.turns.map((turn, index) => (
              <CodeBlock key={`${index}${turn.role}`} title={turn.role} text={turn.text} isWrapped />
            ))}
            <CodeBlock title="Parameters" text={JSON.stringify(prompt.others, undefined, 2)} isWrapped />
          </>
        )}
      </div>
    </details>
  )
}
