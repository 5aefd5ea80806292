import type { ApiSpan } from '../../../src/admin/api-types.ts'
import { exact, formatMs } from '../format/numbers.ts'
import { AttributesTable } from '../parts/attributes-table.tsx'
import { CopyButton } from '../parts/copy-button.tsx'
import { Time } from '../parts/time.tsx'

const reasonOf = ({ error, attributes }: ApiSpan): string =>
  error?.message ?? String(attributes['error.type'] ?? 'The span does not say why.')

const attributesText = (attributes: ApiSpan['attributes']) =>
  Object.entries(attributes)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')

export function SpanDetails({ span, traceStart }: { readonly span: ApiSpan; readonly traceStart: number }) {
  return (
    <div class="stack">
      {span.error !== undefined && (
        <div class="notice bad">
          <p>
            <strong>Status Error.</strong> {reasonOf(span)}
          </p>
        </div>
      )}
      <dl class="facts">
        <div>
          <dt>Kind</dt>
          <dd>{span.kind.toUpperCase()}</dd>
        </div>
        <div>
          <dt>Duration</dt>
          <dd title={`${exact(span.durationMs)} ms`}>{formatMs(span.durationMs)}</dd>
        </div>
        <div>
          <dt>Begins</dt>
          <dd>
            <Time at={span.start} as="full" />{' '}
            <span class="faint">(+{formatMs(span.start - traceStart)})</span>
          </dd>
        </div>
        <div>
          <dt>Span id</dt>
          <dd class="mono small">
            {span.spanId} <CopyButton text={span.spanId} what="span id" />
          </dd>
        </div>
      </dl>
      {span.events.length > 0 && (
        <section class="stack">
          <h3>Events</h3>
          <table>
            <thead>
              <tr>
                <th scope="col">Event</th>
                <th scope="col" class="number" title="Since the trace's start">
                  After
                </th>
              </tr>
            </thead>
            <tbody>
              {span.events.map((event) => (
                <tr key={`${event.name}${event.at}`}>
                  <td class="mono small">
                    {event.name}
                    {event.attributes !== undefined && (
                      <div class="faint">{attributesText(event.attributes)}</div>
                    )}
                  </td>
                  <td class="number">{formatMs(event.at - traceStart)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <AttributesTable title="Attributes" attributes={span.attributes} />
    </div>
  )
}
