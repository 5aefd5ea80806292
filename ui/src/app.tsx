/**
 * Which page is shown, once it is known that the reader may see it.
 */
import { useEffect } from 'preact/hooks'
import { isAbort, messageOf } from './api/client.ts'
import { useQuery } from './api/use-query.ts'
import { ClientsPage } from './clients/clients-page.tsx'
import { ConfigPage } from './config/config-page.tsx'
import { CostsPage } from './costs/costs-page.tsx'
import { McpPage } from './mcp/mcp-page.tsx'
import { href, place } from './navigation/location.ts'
import { Nav } from './navigation/nav.tsx'
import { OverviewPage } from './overview/overview-page.tsx'
import { useKeys } from './parts/keys.ts'
import { NotKept } from './parts/not-kept.tsx'
import { Page } from './parts/page.tsx'
import { Empty, Failure } from './parts/states.tsx'
import { PlaygroundPage } from './playground/playground-page.tsx'
import { RequestsPage } from './requests/requests-page.tsx'
import { keepsRequests, loadSession, runtime, session, unreachable, watchRuntime } from './session/session.ts'
import { SignIn } from './session/sign-in.tsx'
import { TracePage } from './traces/trace-page.tsx'
import { TracesPage } from './traces/traces-page.tsx'

export function App() {
  const start = useQuery('session', async () => {
    await loadSession()
    return true
  })
  const isIn = session.value?.signedIn === true

  useKeys({
    '/': (event) => {
      const field = document.querySelector<HTMLElement>('main input[type="search"]')
      if (field === null) return
      event.preventDefault()
      field.focus()
    },
  })
  useEffect(() => (isIn ? watchRuntime() : undefined), [isIn])

  if (session.value === undefined) {
    if (start.error === undefined || isAbort(start.error)) return null
    return (
      <main class="sign-in">
        <Failure what="The console cannot start" error={messageOf(start.error)} onRetry={start.refresh} />
      </main>
    )
  }
  if (!isIn) return <SignIn />
  // Pages ask for its ports, its store and its age.
  if (runtime.value === undefined && unreachable.value === undefined) return null

  return (
    <>
      <a class="skip-link" href="#content">
        Skip to the content
      </a>
      <div class="shell">
        <Nav />
        <main class="page" id="content" tabIndex={-1}>
          <CurrentPage path={place.value.path} />
        </main>
      </div>
    </>
  )
}

const PAGES_OF_REQUESTS: Readonly<Record<string, string>> = {
  '/': 'Overview',
  '/requests': 'Requests',
  '/traces': 'Traces',
  '/costs': 'Costs',
}

function CurrentPage({ path }: { readonly path: string }) {
  if (!keepsRequests()) {
    const title = path.startsWith('/traces/') ? 'Trace' : PAGES_OF_REQUESTS[path]
    if (title !== undefined) return <NotKept title={title} />
  }
  if (path.startsWith('/traces/')) {
    const traceId = decodeURIComponent(path.slice('/traces/'.length))
    return <TracePage key={traceId} traceId={traceId} />
  }
  switch (path) {
    case '/':
      return <OverviewPage />
    case '/requests':
      return <RequestsPage />
    case '/traces':
      return <TracesPage />
    case '/costs':
      return <CostsPage />
    case '/mcp':
      return <McpPage />
    case '/playground':
      return <PlaygroundPage />
    case '/config':
      return <ConfigPage />
    case '/clients':
      return <ClientsPage />
    default:
      return (
        <Page title="Not found">
          <Empty title="There is no such page">
            <p>
              Nothing is at <code>{path}</code>.
            </p>
            <a class="button" href={href('/')}>
              Go to the overview
            </a>
          </Empty>
        </Page>
      )
  }
}
