import { firstPort, gatewayOrigin } from '../session/session.ts'
import { CodeBlock } from './code-block.tsx'

/** A first request, for pages that have nothing to show yet. */
export function CurlExample() {
  const origin = gatewayOrigin(firstPort())
  const text = `curl ${origin}/v1/chat/completions \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}'`
  return <CodeBlock title="A first request" text={text} />
}
