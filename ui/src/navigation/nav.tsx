/**
 * The pages, and at the foot what runs and since when.
 */
import { formatMs } from '../format/numbers.ts'
import { Icon, type IconName } from '../parts/icons.tsx'
import { Segments } from '../parts/segments.tsx'
import { type Theme, theme } from '../parts/theme.ts'
import { runtime, session, signOut, unreachable } from '../session/session.ts'
import { href, place } from './location.ts'

const PAGES: readonly { readonly path: string; readonly title: string; readonly icon: IconName }[] = [
  { path: '/', title: 'Overview', icon: 'overview' },
  { path: '/requests', title: 'Requests', icon: 'requests' },
  { path: '/traces', title: 'Traces', icon: 'traces' },
  { path: '/costs', title: 'Costs', icon: 'costs' },
  { path: '/mcp', title: 'MCP', icon: 'mcp' },
  { path: '/playground', title: 'Playground', icon: 'playground' },
  { path: '/config', title: 'Configuration', icon: 'config' },
  { path: '/clients', title: 'Client set-up', icon: 'clients' },
]

const THEMES: readonly { readonly id: Theme; readonly label: string }[] = [
  { id: 'system', label: 'Auto' },
  { id: 'light', label: 'Light' },
  { id: 'dark', label: 'Dark' },
]

const isCurrent = (path: string, at: string) =>
  path === '/' ? at === '/' : at === path || at.startsWith(`${path}/`)

export function Nav() {
  const at = place.value.path
  return (
    <nav class="nav" aria-label="Pages">
      <a class="brand" href={href('/')}>
        <img src="/ui/icon.svg" alt="" /> AgentGateway
      </a>
      <ul>
        {PAGES.map(({ path, title, icon }) => (
          <li key={path}>
            <a class="nav-link" href={href(path)} aria-current={isCurrent(path, at) ? 'page' : undefined}>
              <Icon name={icon} /> {title}
            </a>
          </li>
        ))}
      </ul>
      <div class="nav-foot">
        <GatewayState />
        <Segments
          label="Theme"
          options={THEMES}
          value={theme.value}
          onChange={(chosen) => {
            theme.value = chosen
          }}
        />
        {session.value?.tokenRequired && (
          <button type="button" class="button quiet" onClick={() => void signOut()}>
            Sign out
          </button>
        )}
      </div>
    </nav>
  )
}

function GatewayState() {
  const facts = runtime.value
  if (unreachable.value !== undefined) {
    return (
      <p class="gateway-state">
        <span class="dot bad" /> Does not answer
      </p>
    )
  }
  if (facts === undefined) return <p class="gateway-state">&nbsp;</p>

  const ports = facts.ports.binds.map(({ port }) => port)
  const up = new Date(facts.now).getTime() - new Date(facts.startedAt).getTime()
  return (
    <p class="gateway-state">
      <span class="dot good" />
      <span>
        {facts.isDemo ? 'Demo' : 'Running'} on {ports.length > 0 ? ports.join(', ') : 'no port'}
        <br />
        <span class="faint" title={`Since ${facts.startedAt} (UTC), Node.js ${facts.node}`}>
          {facts.version}, up {formatMs(up)}
        </span>
      </span>
    </p>
  )
}
