/** What policies did about a request, as events of its SERVER span: each where it happened, and why. */
import type { Exchange, PolicyEvent } from '../core/exchange.ts'
import { clip, present, type SpanEvent, safe, seconds, timeOf } from './span-parts.ts'

/** In the order of time. */
export function policyEvents(exchange: Exchange): SpanEvent[] {
  const { events = [], attempts } = exchange
  const told = events.map((event) => ({ at: event.at, ...described(event) }))
  for (const { startedAt, queuedMs, endpoint } of attempts) {
    if (queuedMs === undefined) continue
    told.push({
      at: startedAt + queuedMs,
      name: 'agentgateway.backend.queued',
      attributes: present({
        'agentgateway.endpoint': clip(endpoint),
        'agentgateway.duration': seconds(queuedMs),
      }),
    })
  }
  return told
    .sort((one, other) => one.at - other.at)
    .map(({ at, ...event }) => ({ ...event, time: timeOf(exchange, at) }))
}

const described = (event: PolicyEvent) => ({
  name: `agentgateway.${event.name}`,
  attributes: present({
    'agentgateway.policy': clip(event.policy),
    'agentgateway.limit': event.limit,
    'agentgateway.key.hash': event.keyHash,
    'agentgateway.action': event.action,
    'agentgateway.backend': event.backend,
    'agentgateway.backend.previous': event.from,
    'agentgateway.duration': event.durationMs === undefined ? undefined : seconds(event.durationMs),
    'http.response.status_code': event.status,
    'agentgateway.cause': clip(safe(event.reason)),
  }),
})
