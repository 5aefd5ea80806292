import type { McpState } from '../../../src/admin/api-types.ts'
import { plural } from '../format/numbers.ts'
import { href } from '../navigation/location.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { Icon } from '../parts/icons.tsx'
import { gatewayOrigin, plainPorts, runtime } from '../session/session.ts'

type Backend = McpState['backends'][number]
type Target = Backend['targets'][number]

const NAMED_AT_MOST = 8

interface BackendCardProps {
  readonly backend: Backend
  readonly isRunning: boolean
  readonly onRun: () => void
}

export function BackendCard({ backend, isRunning, onRun }: BackendCardProps) {
  const url = `${gatewayOrigin(backend.port)}${backend.path}`
  const isOverTls = runtime.value !== undefined && !plainPorts().includes(backend.port)
  const down = backend.targets.filter((target) => target.isUp === false).length
  return (
    <section class="card" aria-label={`Backend ${backend.backend}`}>
      <div class="card-head">
        <h2 class="cut" title={backend.backend}>
          {backend.backend}
        </h2>
        <span class="row tight">
          <code class="soft">{url}</code>
          <CopyButton text={url} what="address" />
        </span>
        {down > 0 && <span class="badge bad">{plural(down, 'target')} down</span>}
        <span class="row push">
          <span class="soft">{plural(backend.sessions, 'session')}</span>
          <button
            type="button"
            class={`button${isRunning ? ' on' : ''}`}
            aria-pressed={isRunning}
            disabled={isOverTls}
            title={isOverTls ? 'The runner cannot use a port with TLS.' : undefined}
            onClick={onRun}
          >
            <Icon name={isRunning ? 'stop' : 'play'} /> {isRunning ? 'Close the runner' : 'Run tools'}
          </button>
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <div class="table-frame targets" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Target</th>
              <th scope="col">State</th>
              <th scope="col">Kind</th>
              <th scope="col">Endpoint</th>
              <th scope="col">Tools</th>
            </tr>
          </thead>
          <tbody>
            {backend.targets.map((target) => (
              <TargetRow key={target.target} target={target} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function TargetRow({ target }: { readonly target: Target }) {
  return (
    <tr>
      <th scope="row">
        <a href={href('/requests', { target: target.target })} title="Its requests">
          {target.target}
        </a>
      </th>
      <td>
        <Health target={target} />
      </td>
      <td class="soft nowrap">{target.kind}</td>
      <td class="mono small endpoint">{target.endpoint}</td>
      <td class="soft small">
        <Tools names={target.tools} />
      </td>
    </tr>
  )
}

function Health({ target }: { readonly target: Target }) {
  if (target.isUp === undefined) return <span class="badge">not tried yet</span>
  if (target.isUp) return <span class="badge good">up</span>
  return (
    <>
      <span class="badge bad">down</span>
      {target.lastError !== undefined && <p class="small bad">{target.lastError}</p>}
    </>
  )
}

function Tools({ names }: { readonly names: readonly string[] }) {
  if (names.length === 0) return <span class="faint">none known yet</span>
  const rest = names.length - NAMED_AT_MOST
  return (
    <span title={names.join('\n')}>
      {names.slice(0, NAMED_AT_MOST).join(', ')}
      {rest > 0 && <span class="faint"> and {rest} more</span>}
    </span>
  )
}
