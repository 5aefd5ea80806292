/**
 * What the gateway runs with, and whether the file says the same.
 */
import type { ConfigState } from '../../../src/admin/api-types.ts'
import { get } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { Page } from '../parts/page.tsx'
import { Loaded, Skeleton } from '../parts/states.tsx'
import { JsonTree } from './json-tree.tsx'
import { Reloads } from './reloads.tsx'
import { RoutesTable } from './routes-table.tsx'
import { RuntimeFacts } from './runtime-facts.tsx'

const POLL_MS = 10_000

export function ConfigPage() {
  const query = useQuery('config', (signal) => get<ConfigState>('/api/config', signal), { pollMs: POLL_MS })
  return (
    <Page title="Configuration" controls={query.data && <code class="soft cut">{query.data.source}</code>}>
      <div class="stack wide">
        <Loaded
          query={query}
          what="The configuration cannot be shown"
          skeleton={<Skeleton height={220} count={3} />}
        >
          {(state) => <Content state={state} />}
        </Loaded>
      </div>
    </Page>
  )
}

function Content({ state }: { readonly state: ConfigState }) {
  const failed = state.reloads.find((reload) => reload.result === 'failure')
  return (
    <div class="stack wide">
      {state.isStale && (
        <div class="notice bad" role="alert">
          <h2>The file differs from what runs</h2>
          <p>
            The last reload failed, so the configuration before it stays in force. Correct the file: it is
            read again by itself.
          </p>
          {failed?.problems.map((problem) => (
            <p key={`${problem.place}${problem.path}${problem.message}`} class="problem">
              <code>{problem.place ?? problem.path}</code> {problem.message}
            </p>
          ))}
        </div>
      )}
      {state.warnings.length > 0 && (
        <div class="notice warn">
          <h2>Warnings</h2>
          <ul class="stack">
            {state.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </div>
      )}
      <RuntimeFacts />
      <RoutesTable routes={state.routes} />
      <div class="config-columns">
        <section class="card" aria-label="Effective configuration">
          <JsonTree title="Effective configuration" value={state.effective} />
        </section>
        <Reloads reloads={state.reloads} />
      </div>
    </div>
  )
}
