import { messageOf } from '../api/client.ts'
import { isObject, prettyPrint, read, readList, readText } from '../format/json.ts'
import { formatMs } from '../format/numbers.ts'
import { href } from '../navigation/location.ts'
import { CodeBlock } from '../parts/code-block.tsx'
import { Icon } from '../parts/icons.tsx'
import { type McpAnswer, McpError } from './mcp-session.ts'

export function ToolResult({ answer }: { readonly answer: McpAnswer }) {
  const { result, notifications, durationMs, traceId } = answer
  const isError = read(result, 'isError') === true
  const structured = read(result, 'structuredContent')
  const content = readList(result, 'content')
  return (
    <section class="stack" aria-label="Result">
      <div class="row">
        <h4>Result</h4>
        <span class={`badge ${isError ? 'bad' : 'good'}`}>{isError ? 'isError' : 'ok'}</span>
        <span class="soft">{formatMs(durationMs)}</span>
        <TraceLink traceId={traceId} />
      </div>
      {content.map((part, index) => (
        <ContentPart key={index} part={part} />
      ))}
      {content.length === 0 && structured === undefined && <p class="faint">The result has no content.</p>}
      {structured !== undefined && (
        <CodeBlock title="structuredContent" text={JSON.stringify(structured, undefined, 2)} isWrapped />
      )}
      {notifications.length > 0 && (
        <details>
          <summary>{notifications.length} notifications while it ran</summary>
          <CodeBlock title="Notifications" text={JSON.stringify(notifications, undefined, 2)} />
        </details>
      )}
    </section>
  )
}

export function ToolFailure({ error }: { readonly error: unknown }) {
  const code = error instanceof McpError ? error.code : undefined
  return (
    <section class="notice bad" role="alert">
      <h4>The call failed{code !== undefined && <code> {code}</code>}</h4>
      <p>{messageOf(error)}</p>
      {error instanceof McpError && <TraceLink traceId={error.traceId} />}
    </section>
  )
}

function TraceLink({ traceId }: { readonly traceId: string | undefined }) {
  if (traceId === undefined) return null
  return (
    <a href={href(`/traces/${traceId}`)}>
      <Icon name="traces" /> Trace
    </a>
  )
}

// Other kinds of pictures may be documents with scripts; they are shown as text.
const SHOWN_IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'])

function ContentPart({ part }: { readonly part: unknown }) {
  const type = readText(part, 'type')
  const text = readText(part, 'text') ?? readText(part, 'resource', 'text')
  const mimeType = readText(part, 'mimeType') ?? ''
  const data = readText(part, 'data')
  if (type === 'image' && data !== undefined && SHOWN_IMAGES.has(mimeType)) {
    return <img class="tool-image" src={`data:${mimeType};base64,${data}`} alt="What the tool returned" />
  }
  if (text !== undefined) {
    const title = readText(part, 'resource', 'uri') ?? type ?? 'text'
    return <CodeBlock title={title} text={prettyPrint(text)} isWrapped />
  }
  if (type === 'resource_link') {
    return <CodeBlock title="resource_link" text={readText(part, 'uri') ?? ''} isWrapped />
  }
  return (
    <CodeBlock
      title={type ?? 'content'}
      text={JSON.stringify(isObject(part) ? part : { part }, undefined, 2)}
      isWrapped
    />
  )
}
