/**
 * One trace: its spans on a common time, and what each of them says.
 */
import type { ComponentChildren } from 'preact'
import type { TraceGot } from '../../../src/admin/api-types.ts'
import { ApiError, get } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { exact, formatMs, plural } from '../format/numbers.ts'
import { href, place, setQuery } from '../navigation/location.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { Icon } from '../parts/icons.tsx'
import { focusOn, useKeys } from '../parts/keys.ts'
import { Page } from '../parts/page.tsx'
import { Empty, Loaded, Skeleton } from '../parts/states.tsx'
import { Time } from '../parts/time.tsx'
import { StatusBadge } from '../requests/status-badge.tsx'
import { SpanDetails } from './span-details.tsx'
import { WaterfallView } from './waterfall.tsx'

/** The address's word for: the reader closed the details. */
const NO_SPAN = 'none'

export function TracePage({ traceId }: { readonly traceId: string }) {
  const query = useQuery(traceId, (signal) =>
    get<TraceGot>(`/api/traces/${encodeURIComponent(traceId)}`, signal),
  )
  const isGone = query.error instanceof ApiError && query.error.status === 404

  return (
    <Page
      title="Trace"
      isFull
      controls={
        <>
          <span class="mono small soft cut">{traceId}</span>
          <CopyButton text={traceId} what="trace id" />
          <span class="row push">
            <a class="button" href={href('/traces')}>
              All traces
            </a>
            <a class="button" href={href('/requests', { trace: traceId, range: '30d' })}>
              <Icon name="requests" /> Its requests
            </a>
          </span>
        </>
      }
    >
      {isGone ? (
        <Empty title="This trace is not there">
          <p>Traces are kept for a limited time, and a request that is still under way has none yet.</p>
          <button type="button" class="button" onClick={query.refresh}>
            Look again
          </button>
        </Empty>
      ) : (
        <TraceFrame>
          <Loaded
            query={query}
            what="The trace cannot be shown"
            skeleton={<Skeleton height={27} count={8} />}
          >
            {(trace) => <TraceBody trace={trace} />}
          </Loaded>
        </TraceFrame>
      )}
    </Page>
  )
}

/** Scrolls by itself below the page's head. */
function TraceFrame({ children }: { readonly children: ComponentChildren }) {
  return <div class="trace-frame">{children}</div>
}

function TraceBody({ trace }: { readonly trace: TraceGot }) {
  // What went wrong is what is looked for; the deepest failed span is nearest to the cause.
  const first = trace.spans.findLast((one) => one.error !== undefined) ?? trace.spans[0]
  const selected = place.value.query.get('span') ?? first?.spanId
  const span = trace.spans.find((one) => one.spanId === selected)
  const select = (spanId: string) => setQuery({ span: spanId }, { replace: true })
  function close() {
    if (span === undefined) return
    select(NO_SPAN)
    focusOn('span', span.spanId)
  }
  useKeys({ Escape: close })

  if (trace.spans.length === 0) {
    return <Empty title="This trace has no spans">{null}</Empty>
  }
  const start = Math.min(...trace.spans.map((one) => one.start))
  return (
    <div class="stack">
      <TraceFacts trace={trace} start={start} />
      <div class={`trace-split${span === undefined ? '' : ' is-open'}`}>
        <div class="stack">
          <section class="card" aria-label="Spans">
            <WaterfallView
              spans={trace.spans}
              selected={selected}
              onSelect={(spanId) => select(spanId === selected ? NO_SPAN : spanId)}
            />
          </section>
          <p class="faint small">
            The bright line in a bar is the time in which the request waited for that span alone. Marks are
            events. ↑ ↓ move, ← → fold, Enter opens.
          </p>
          <TraceRequests trace={trace} />
        </div>
        {span !== undefined && (
          <aside class="card span-card" aria-label="The span">
            <header class="side-head">
              <h2 class="cut" title={span.name}>
                {span.name}
              </h2>
              <button
                type="button"
                class="button quiet icon push"
                aria-label="Close"
                title="Close (Esc)"
                onClick={close}
              >
                <Icon name="close" />
              </button>
            </header>
            <div class="span-body">
              <SpanDetails key={span.spanId} span={span} traceStart={start} />
            </div>
          </aside>
        )}
      </div>
    </div>
  )
}

function TraceFacts({ trace, start }: { readonly trace: TraceGot; readonly start: number }) {
  const end = Math.max(...trace.spans.map((one) => one.start + one.durationMs))
  const failed = trace.spans.filter((one) => one.error !== undefined).length
  return (
    <p class="row soft">
      <Time at={start} as="full" />
      <span aria-hidden="true">·</span>
      <strong title={`${exact(end - start)} ms`}>{formatMs(end - start)}</strong>
      <span aria-hidden="true">·</span>
      {plural(trace.spans.length, 'span')}
      <span aria-hidden="true">·</span>
      {plural(trace.requests.length, 'request')}
      {failed > 0 && <span class="badge bad">{plural(failed, 'span')} with status Error</span>}
    </p>
  )
}

function TraceRequests({ trace }: { readonly trace: TraceGot }) {
  if (trace.requests.length === 0) return null
  return (
    <section class="card" aria-label="Requests of this trace">
      <div class="card-head">
        <h2>Requests of this trace</h2>
      </div>
      <div class="table-frame">
        <table>
          <tbody>
            {trace.requests.map((log) => (
              <tr key={log.id}>
                <td>
                  <a href={href('/requests', { trace: trace.traceId, range: '30d', open: log.id })}>
                    <Time at={log.startedAt} />
                  </a>
                </td>
                <td>{log.operation}</td>
                <td class="soft">{log.genAi?.requestModel ?? log.mcp?.target ?? ''}</td>
                <td>
                  <StatusBadge log={log} />
                </td>
                <td class="number">{formatMs(log.durationMs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
