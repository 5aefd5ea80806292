/**
 * What to paste into which client, for the ports of the gateway that runs.
 */
import type { McpState } from '../../../src/admin/api-types.ts'
import { get } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { href, place, setQuery } from '../navigation/location.ts'
import { CodeBlock } from '../parts/code-block.tsx'
import { Page } from '../parts/page.tsx'
import { firstPort, gatewayOrigin, runtime } from '../session/session.ts'
import { type Snippet, type SnippetGroup, snippetGroups } from './snippets.ts'

const DEFAULT_MCP_PATH = '/mcp'

export function ClientsPage() {
  const mcp = useQuery('mcp', (signal) => get<McpState>('/api/mcp', signal))
  const binds = runtime.value?.ports.binds ?? []
  const wanted = Number(place.value.query.get('port'))
  const port = binds.some((bind) => bind.port === wanted) ? wanted : firstPort()
  const backend = mcp.data?.backends.find((one) => one.port === port)
  const groups = snippetGroups(gatewayOrigin(port), backend?.path ?? DEFAULT_MCP_PATH)

  return (
    <Page
      title="Client set-up"
      controls={
        binds.length > 1 && (
          <label class="row push soft">
            Port
            <select
              class="input"
              value={port}
              onChange={(event) => setQuery({ port: event.currentTarget.value }, { replace: true })}
            >
              {binds.map((bind) => (
                <option key={bind.port} value={bind.port}>
                  {bind.port}
                  {bind.tls ? ' (TLS)' : ''}
                </option>
              ))}
            </select>
          </label>
        )
      }
    >
      <div class="stack wide prose">
        <p class="soft">
          A client needs one change: its base URL. These are for <code>{gatewayOrigin(port)}</code>; when the
          client runs on another machine, use that machine's name for this one. Then watch its requests under{' '}
          <a href={href('/requests', { live: '1' })}>Requests</a>.
        </p>
        {groups.map((group) => (
          <Group
            key={group.id}
            group={group}
            note={
              group.id === 'mcp' && mcp.data !== undefined && backend === undefined
                ? 'No MCP backend is configured on this port yet.'
                : undefined
            }
          />
        ))}
      </div>
    </Page>
  )
}

function Group({ group, note }: { readonly group: SnippetGroup; readonly note: string | undefined }) {
  return (
    <section class="stack" id={group.id} aria-label={group.title}>
      <h2>{group.title}</h2>
      {note !== undefined && <p class="warn">{note}</p>}
      <div class="snippets">
        {group.snippets.map((snippet) => (
          <SnippetCard key={snippet.id} snippet={snippet} />
        ))}
      </div>
    </section>
  )
}

function SnippetCard({ snippet }: { readonly snippet: Snippet }) {
  return (
    <article class="card padded stack">
      <h3>{snippet.title}</h3>
      {snippet.note !== undefined && <p class="soft small">{snippet.note}</p>}
      {snippet.blocks.map((block) => (
        <CodeBlock key={block.title} title={block.title} text={block.text} />
      ))}
    </article>
  )
}
