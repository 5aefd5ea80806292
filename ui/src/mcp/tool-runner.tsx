/**
 * Tries the tools of one endpoint, as any MCP client would: through the gateway, counted and traced like the others.
 *
 * The session is opened when the runner is, and ended when it goes.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { gatewayPath, isAbort, messageOf, send } from '../api/client.ts'
import { plural } from '../format/numbers.ts'
import { place, setQuery } from '../navigation/location.ts'
import { Icon } from '../parts/icons.tsx'
import { Failure, Skeleton } from '../parts/states.tsx'
import { gatewayHeaders } from '../session/client-key.ts'
import { ClientKeyField } from '../session/client-key-field.tsx'
import { type McpSession, type McpTool, openMcpSession } from './mcp-session.ts'
import { ToolCall } from './tool-call.tsx'

type State =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'open'; readonly session: McpSession; readonly tools: readonly McpTool[] }

interface ToolRunnerProps {
  readonly port: number
  readonly path: string
  /** Sessions and targets are not what they were. */
  readonly onOpen: () => void
}

export function ToolRunner({ port, path, onOpen }: ToolRunnerProps) {
  const [asked, setAsked] = useState(0)
  const state = useMcpSession(port, path, asked)
  const frame = useRef<HTMLElement>(null)

  useEffect(() => frame.current?.scrollIntoView({ block: 'nearest' }), [])
  useEffect(() => {
    if (state.kind !== 'connecting') onOpen()
  }, [state.kind, onOpen])

  return (
    <section class="card" aria-label="Tool runner" ref={frame}>
      <div class="card-head">
        <h2>Tool runner</h2>
        {state.kind === 'open' && (
          <span class="soft small">
            {plural(state.tools.length, 'tool')} of {state.session.serverName}, MCP{' '}
            {state.session.protocolVersion}
          </span>
        )}
        <div class="row push runner-key">
          <ClientKeyField />
          <button type="button" class="button" onClick={() => setAsked((count) => count + 1)}>
            <Icon name="refresh" /> Reconnect
          </button>
        </div>
      </div>
      {state.kind === 'connecting' && (
        <div class="padded-box">
          <Skeleton height={160} />
        </div>
      )}
      {state.kind === 'failed' && (
        <div class="padded-box">
          <Failure
            what="The session cannot be opened"
            error={messageOf(state.error)}
            onRetry={() => setAsked((count) => count + 1)}
          />
        </div>
      )}
      {state.kind === 'open' && <Tools session={state.session} tools={state.tools} />}
    </section>
  )
}

function useMcpSession(port: number, path: string, asked: number): State {
  const [state, setState] = useState<State>({ kind: 'connecting' })

  // `asked` is there to open another one
  useEffect(() => {
    const controller = new AbortController()
    let session: McpSession | undefined
    const close = () => void session?.close()

    async function open() {
      setState({ kind: 'connecting' })
      try {
        const connection = {
          url: gatewayPath(port, path),
          headers: gatewayHeaders,
          fetch: send,
          now: () => performance.now(),
        }
        session = await openMcpSession(connection, controller.signal)
        if (controller.signal.aborted) return close()
        const tools = await session.listTools(controller.signal)
        if (!controller.signal.aborted) setState({ kind: 'open', session, tools })
      } catch (error) {
        if (!isAbort(error) && !controller.signal.aborted) setState({ kind: 'failed', error })
      }
    }

    void open()
    addEventListener('pagehide', close)
    return () => {
      removeEventListener('pagehide', close)
      controller.abort()
      close()
    }
  }, [port, path, asked])

  return state
}

function Tools({ session, tools }: { readonly session: McpSession; readonly tools: readonly McpTool[] }) {
  const [text, setText] = useState('')
  const wanted = place.value.query.get('tool')
  const shown = useMemo(
    () =>
      tools.filter((tool) => `${tool.name} ${tool.title ?? ''}`.toLowerCase().includes(text.toLowerCase())),
    [tools, text],
  )
  const tool = tools.find((one) => one.name === wanted) ?? tools[0]

  if (tool === undefined) return <p class="padded-box soft">This endpoint has no tools.</p>
  return (
    <div class="runner">
      <div class="runner-list">
        <input
          class="input wide"
          type="search"
          aria-label="Find a tool"
          placeholder={`Find among ${tools.length}`}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <ul>
          {shown.map((one) => (
            <li key={one.name}>
              <button
                type="button"
                aria-pressed={one === tool}
                title={one.description}
                onClick={() => setQuery({ tool: one.name }, { replace: true })}
              >
                <span class="cut">{one.name}</span>
              </button>
            </li>
          ))}
          {shown.length === 0 && <li class="faint">None with this text.</li>}
        </ul>
      </div>
      <ToolCall key={tool.name} session={session} tool={tool} />
    </div>
  )
}
