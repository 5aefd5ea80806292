/**
 * All that is known of one request.
 */
import { useState } from 'preact/hooks'
import type { ApiSpan, LogEntry, LogGot } from '../../../src/admin/api-types.ts'
import { post } from '../api/client.ts'
import { useQuery } from '../api/use-query.ts'
import { href } from '../navigation/location.ts'
import { AttributesTable } from '../parts/attributes-table.tsx'
import { Icon } from '../parts/icons.tsx'
import { Empty, Loaded, Skeleton } from '../parts/states.tsx'
import { SpanDetails } from '../traces/span-details.tsx'
import { WaterfallView } from '../traces/waterfall.tsx'
import { PayloadSection } from './payload-section.tsx'
import { AttemptsSection, CostSection, ErrorSection, McpSection, TokensSection } from './request-sections.tsx'
import { RequestSummary } from './request-summary.tsx'
import { StatusBadge } from './status-badge.tsx'

interface RequestPanelProps {
  readonly id: string
  readonly onClose: () => void
}

export function RequestPanel({ id, onClose }: RequestPanelProps) {
  const query = useQuery(id, (signal) => post<LogGot>('/api/logs/get', { id, includePayload: true }, signal))
  const log = query.data?.log

  return (
    <aside class="split-side" aria-label="The request">
      <header class="side-head">
        <h2 class="cut" title={log?.operation}>
          {log?.operation ?? 'Request'}
        </h2>
        {log && <StatusBadge log={log} />}
        <span class="row tight push">
          {log && (
            <a class="button" href={href(`/traces/${log.traceId}`)}>
              <Icon name="traces" /> Trace
            </a>
          )}
          <button
            type="button"
            class="button quiet icon"
            aria-label="Close"
            title="Close (Esc)"
            onClick={onClose}
          >
            <Icon name="close" />
          </button>
        </span>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <div class="side-body" tabIndex={0}>
        <Loaded
          query={query}
          what="The request cannot be shown"
          skeleton={<Skeleton height={120} count={4} />}
        >
          {({ log: found, spans }) =>
            found === null ? (
              <Empty title="This request is not there any more">
                <p>Requests are kept for a limited time. This one was removed, or it never was here.</p>
              </Empty>
            ) : (
              <Details log={found} spans={spans} />
            )
          }
        </Loaded>
      </div>
    </aside>
  )
}

function Details({ log, spans }: { readonly log: LogEntry; readonly spans: readonly ApiSpan[] }) {
  return (
    <div class="stack wide">
      {(log.error !== undefined || log.failed) && <ErrorSection log={log} />}
      <RequestSummary log={log} />
      {spans.length > 0 && <Timeline spans={spans} />}
      {log.usage !== undefined && <TokensSection usage={log.usage} source={log.usageSource} />}
      {log.genAi !== undefined && <CostSection log={log} />}
      {log.mcp !== undefined && <McpSection mcp={log.mcp} />}
      {log.attempts.length > 0 && <AttemptsSection attempts={log.attempts} />}
      <PayloadSection log={log} />
      {log.attributes !== undefined && <AttributesTable title="Attributes" attributes={log.attributes} />}
    </div>
  )
}

function Timeline({ spans }: { readonly spans: readonly ApiSpan[] }) {
  const [selected, setSelected] = useState<string | undefined>(undefined)
  const span = spans.find((one) => one.spanId === selected)
  const start = Math.min(...spans.map((one) => one.start))
  return (
    <section class="stack" aria-label="Timeline">
      <h3>Timeline</h3>
      <div class="card">
        <WaterfallView
          spans={spans}
          selected={selected}
          onSelect={(spanId) => setSelected(spanId === selected ? undefined : spanId)}
        />
      </div>
      {span !== undefined && (
        <div class="card padded">
          <SpanDetails span={span} traceStart={start} />
        </div>
      )}
    </section>
  )
}
