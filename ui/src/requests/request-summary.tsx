import type { ComponentChildren } from 'preact'
import type { LogEntry } from '../../../src/admin/api-types.ts'
import { exact, formatBytes, formatMs } from '../format/numbers.ts'
import { href } from '../navigation/location.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { Time } from '../parts/time.tsx'
import { spoken } from './status-badge.tsx'

interface Fact {
  readonly name: string
  readonly value: ComponentChildren
  readonly title?: string
  readonly isWide?: boolean
}

export function RequestSummary({ log }: { readonly log: LogEntry }) {
  const facts = [...whatAndWhen(log), ...whereAndWho(log)].filter(({ value }) => value !== undefined)
  return (
    <section class="stack" aria-label="Summary">
      <dl class="facts">
        {facts.map(({ name, value, title, isWide }) => (
          <div key={name} class={isWide ? 'wide' : ''}>
            <dt>{name}</dt>
            <dd title={title}>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function whatAndWhen(log: LogEntry): readonly Fact[] {
  const { genAi } = log
  const isOtherModel = genAi?.responseModel !== undefined && genAi.responseModel !== genAi.requestModel
  return [
    { name: 'Started', value: <Time at={log.startedAt} as="full" /> },
    { name: 'Ended', value: <Time at={log.completedAt} as="full" /> },
    { name: 'Duration', value: formatMs(log.durationMs), title: `${exact(log.durationMs)} ms` },
    {
      name: 'First token',
      value: log.firstTokenMs === undefined ? undefined : formatMs(log.firstTokenMs),
      title: `${exact(log.firstTokenMs ?? 0)} ms`,
    },
    { name: 'Outcome', value: spoken(log.outcome), title: `reason: ${log.reason}` },
    {
      name: 'Model',
      value: genAi?.requestModel && (
        <a href={href('/requests', { model: genAi.requestModel })}>{genAi.requestModel}</a>
      ),
    },
    { name: 'Model that answered', value: isOtherModel ? genAi.responseModel : undefined },
    { name: 'Provider', value: genAi?.providerName },
    { name: 'Operation', value: genAi?.operationName },
    { name: 'Protocol', value: `${log.protocol}${log.streaming ? ', streamed' : ''}` },
    { name: 'Request', value: `${log.method} ${log.path}`, title: `Host: ${log.host}` },
    {
      name: 'Size',
      value: `${formatBytes(log.requestBytes)} → ${formatBytes(log.responseBytes)}`,
      title: `${exact(log.requestBytes)} → ${exact(log.responseBytes)} bytes`,
    },
  ]
}

function whereAndWho(log: LogEntry): readonly Fact[] {
  const filtered = (param: string, value: string | undefined) =>
    value && <a href={href('/requests', { [param]: value })}>{value}</a>
  return [
    { name: 'Backend', value: filtered('backend', log.backend) },
    {
      name: 'Route',
      value: filtered('route', log.route),
      title: [log.bind, log.listener].filter(Boolean).join(' '),
    },
    { name: 'User', value: filtered('user', log.user) },
    { name: 'Group', value: filtered('group', log.group) },
    {
      name: 'Key',
      value: filtered('key', log.key),
      title: 'The beginning of a hash; the key itself is not kept.',
    },
    { name: 'Client', value: log.clientAddress },
    { name: 'User agent', value: log.userAgent, isWide: true },
    {
      name: 'Trace id',
      isWide: true,
      value: (
        <span class="mono small">
          {log.traceId} <CopyButton text={log.traceId} what="trace id" />
        </span>
      ),
    },
  ]
}
