/**
 * The MCP servers behind the gateway, and a way to try their tools.
 */
import type { McpState } from '../../../src/admin/api-types.ts'
import { get } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { href, place, setQuery } from '../navigation/location.ts'
import { CodeBlock } from '../parts/code-block.tsx'
import { Page } from '../parts/page.tsx'
import { Empty, Loaded, Skeleton } from '../parts/states.tsx'
import { BackendCard } from './backend-card.tsx'
import { ToolRunner } from './tool-runner.tsx'

const POLL_MS = 10_000

const EXAMPLE = `mcp:
  port: 3000
  targets:
    - {name: files, stdio: {cmd: npx, args: [-y, "@modelcontextprotocol/server-filesystem", /tmp]}}
    - {name: wiki, mcp: {host: https://wiki.example.com/mcp}}`

export function McpPage() {
  const query = useQuery('mcp', (signal) => get<McpState>('/api/mcp', signal), { pollMs: POLL_MS })
  const running = place.value.query.get('run') ?? undefined

  return (
    <Page
      title="MCP"
      controls={
        <a class="button push" href={href('/requests', { protocol: 'mcp' })}>
          MCP requests
        </a>
      }
    >
      <Loaded
        query={query}
        what="The MCP servers cannot be shown"
        skeleton={<Skeleton height={200} count={2} />}
      >
        {({ backends }) => {
          if (backends.length === 0) return <NoBackends />
          const backend = backends.find((one) => keyOf(one) === running)
          return (
            <div class="stack">
              {backends.map((one) => (
                <BackendCard
                  key={keyOf(one)}
                  backend={one}
                  isRunning={one === backend}
                  onRun={() => setQuery({ run: one === backend ? undefined : keyOf(one), tool: undefined })}
                />
              ))}
              {backend !== undefined && (
                <ToolRunner
                  key={keyOf(backend)}
                  port={backend.port}
                  path={backend.path}
                  onOpen={query.refresh}
                />
              )}
            </div>
          )
        }}
      </Loaded>
    </Page>
  )
}

/** The same backend may stand on several routes. */
const keyOf = ({ port, path }: McpState['backends'][number]) => `${port}${path}`

function NoBackends() {
  return (
    <Empty title="No MCP server is configured">
      <p>One endpoint can bring many MCP servers together. Add this to the configuration:</p>
      <CodeBlock title="config.yaml" text={EXAMPLE} />
    </Empty>
  )
}
