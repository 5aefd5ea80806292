import type { ConfigState } from '../../../src/admin/api-types.ts'
import { Time } from '../parts/time.tsx'

export function Reloads({ reloads }: { readonly reloads: ConfigState['reloads'] }) {
  return (
    <section class="card" aria-label="Reloads">
      <div class="card-head">
        <h2>Reloads</h2>
      </div>
      {reloads.length === 0 && (
        <p class="padded-box soft">The configuration was not reloaded since the start.</p>
      )}
      <ol class="reloads">
        {reloads.map((reload) => (
          <li key={`${reload.at}${reload.result}`}>
            <p class="row">
              <span class={`dot ${reload.result === 'success' ? 'good' : 'bad'}`} />
              <strong>{reload.result === 'success' ? 'Taken over' : 'Refused'}</strong>
              <span class="soft">
                <Time at={reload.at} as="full" />, <Time at={reload.at} as="ago" />
              </span>
            </p>
            {reload.problems.map((problem) => (
              <div key={`${problem.place}${problem.path}${problem.message}`} class="reload-problem">
                <p>{problem.message}</p>
                {problem.path !== undefined && <p class="mono small soft">{problem.path}</p>}
                {problem.place !== undefined && <p class="mono small faint">{problem.place}</p>}
              </div>
            ))}
          </li>
        ))}
      </ol>
    </section>
  )
}
