import type { ComponentChildren } from 'preact'
import type { Runtime, StoreState } from '../../../src/admin/api-types.ts'
import { exact, formatBytes, formatCount, formatMs, plural } from '../format/numbers.ts'
import { Time } from '../parts/time.tsx'
import { runtime } from '../session/session.ts'

export function RuntimeFacts() {
  const facts = runtime.value
  if (facts === undefined) return null
  return (
    <div class="config-facts">
      <FactsCard title="Process" facts={processFacts(facts)} />
      <FactsCard title="Ports" facts={portFacts(facts)} />
      <FactsCard title="Store of requests" facts={storeFacts(facts.store)} note={storeNote(facts.store)} />
      <FactsCard title="Tracing" facts={tracingFacts(facts)} />
    </div>
  )
}

type Facts = readonly (readonly [string, ComponentChildren])[]

interface FactsCardProps {
  readonly title: string
  readonly facts: Facts
  readonly note?: ComponentChildren
}

function FactsCard({ title, facts, note }: FactsCardProps) {
  return (
    <section class="card padded stack" aria-label={title}>
      <h2>{title}</h2>
      {note}
      <dl class="pairs">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function processFacts(facts: Runtime): Facts {
  const up = Date.parse(facts.now) - Date.parse(facts.startedAt)
  return [
    ['Version', `${facts.version}${facts.isDemo ? ' (demo)' : ''}`],
    ['Node.js', facts.node],
    ['Started', <Time key="started" at={facts.startedAt} as="full" />],
    ['Up for', formatMs(up)],
    [
      'Memory',
      <span key="memory" title={`${exact(facts.residentBytes)} bytes`}>
        {formatBytes(facts.residentBytes)}
      </span>,
    ],
    ['Requests in flight', formatCount(facts.requestsInFlight)],
  ]
}

function portFacts({ ports }: Runtime): Facts {
  return [
    ...ports.binds.map(({ port, tls }) => [String(port), tls ? 'clients, TLS' : 'clients'] as const),
    ...named(ports.admin, 'admin: this console and its API'),
    ...named(ports.stats, '/metrics'),
    ...named(ports.readiness, '/healthz/ready'),
  ]
}

const named = (port: number | undefined, what: string): Facts =>
  port === undefined ? [] : [[String(port), what]]

function storeFacts(store: StoreState | undefined): Facts {
  if (store === undefined) return []
  return [
    ['Kind', store.kind],
    ['Where', <code key="url">{store.url}</code>],
    [
      'Requests',
      <span key="requests" title={exact(store.requests)}>
        {formatCount(store.requests)}
      </span>,
    ],
    [
      'Size',
      <span key="bytes" title={`${exact(store.bytes)} bytes`}>
        {formatBytes(store.bytes)}
      </span>,
    ],
    ['Kept for', formatMs(store.retentionMs)],
    ['Oldest', store.oldest === undefined ? 'none' : <Time key="oldest" at={store.oldest} as="full" />],
    [
      'Dropped',
      <span key="dropped" class={store.dropped > 0 ? 'bad' : ''} title={exact(store.dropped)}>
        {formatCount(store.dropped)}
      </span>,
    ],
  ]
}

function storeNote(store: StoreState | undefined): ComponentChildren {
  if (store === undefined) return <p class="soft">Nothing is kept: Requests, Traces and Costs stay empty.</p>
  if (store.problem !== undefined) return <p class="bad">{store.problem}</p>
  if (store.dropped > 0) return <p class="warn">{plural(store.dropped, 'request')} could not be written.</p>
  return null
}

function tracingFacts({ tracing }: Runtime): Facts {
  if (tracing === undefined) return [['Export', 'off: no collector is configured']]
  return [
    ['Endpoint', <code key="endpoint">{tracing.endpoint}</code>],
    ['Protocol', tracing.protocol],
    ['Sampled', tracing.sampled],
  ]
}
