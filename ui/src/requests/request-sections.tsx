/**
 * The parts of a request's panel that not every request has.
 */
import type { LogEntry } from '../../../src/admin/api-types.ts'
import { exact, formatCount, formatMs, formatShare, formatUsd, optional } from '../format/numbers.ts'
import { spoken } from './status-badge.tsx'

export function ErrorSection({ log }: { readonly log: LogEntry }) {
  const message = log.error ?? log.mcp?.errorMessage ?? 'The request failed; no message was recorded.'
  const cause = log.attempts.findLast((attempt) => attempt.errorMessage !== undefined)
  return (
    <section class="notice bad" aria-label="Error">
      <h3>
        {spoken(log.outcome)}
        {log.errorType !== undefined && <code class="small"> {log.errorType}</code>}
      </h3>
      <p>{message}</p>
      {cause !== undefined && cause.errorMessage !== message && (
        <p class="soft">
          Cause, at <code>{cause.endpoint}</code>: {cause.errorMessage}
        </p>
      )}
    </section>
  )
}

/** What `usageSource` means to the reader. */
const SOURCES: Readonly<Record<string, string>> = {
  provider: "The provider's own count.",
  partial: "The provider's count up to where the stream was cut.",
  estimated: 'An estimate: the provider did not get to say.',
  none: 'No tokens are known.',
}

interface TokensSectionProps {
  readonly usage: NonNullable<LogEntry['usage']>
  readonly source: string | undefined
}

export function TokensSection({ usage, source }: TokensSectionProps) {
  const fresh = Math.max(0, usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens)
  const visible = Math.max(0, usage.outputTokens - usage.reasoningTokens)
  const parts = [
    { name: 'Input', tokens: fresh, tone: 'token-input' },
    { name: 'Cache read', tokens: usage.cacheReadTokens, tone: 'token-read' },
    { name: 'Cache write', tokens: usage.cacheWriteTokens, tone: 'token-write' },
    { name: 'Output', tokens: visible, tone: 'token-output' },
    { name: 'Reasoning', tokens: usage.reasoningTokens, tone: 'token-reasoning' },
  ].filter(({ tokens }) => tokens > 0)
  return (
    <section class="stack" aria-label="Tokens">
      <div class="row">
        <h3>Tokens</h3>
        <span class="soft small" title={`${exact(usage.totalTokens)} in all`}>
          {formatCount(usage.inputTokens)} in, {formatCount(usage.outputTokens)} out
        </span>
        {source !== undefined && (
          <span class={`badge push${source === 'provider' ? '' : ' warn'}`} title={SOURCES[source]}>
            counted by: {source}
          </span>
        )}
      </div>
      <div class="token-bar" aria-hidden="true">
        {parts.map(({ name, tokens, tone }) => (
          <span key={name} class={tone} style={{ flexGrow: tokens }} />
        ))}
      </div>
      <ul class="row token-parts">
        {parts.map(({ name, tokens, tone }) => (
          <li key={name} title={exact(tokens)}>
            <span class={`swatch ${tone}`} /> {name} {formatCount(tokens)}{' '}
            <span class="faint">{formatShare(tokens / (usage.totalTokens || 1))}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

export function CostSection({ log }: { readonly log: LogEntry }) {
  const { cost, costParts, costStatus, usage } = log
  if (cost === undefined) {
    return (
      <section class="row" aria-label="Cost">
        <h3>Cost</h3>
        <span class="soft">Not known{costStatus !== undefined && `: ${spoken(costStatus)}`}</span>
      </section>
    )
  }
  const perMillion =
    usage !== undefined && usage.totalTokens > 0 ? (cost / usage.totalTokens) * 1e6 : undefined
  return (
    <section class="stack" aria-label="Cost">
      <div class="row">
        <h3>Cost</h3>
        {costStatus !== undefined && <span class="badge push">{spoken(costStatus)}</span>}
      </div>
      <dl class="facts">
        <div>
          <dt>Total</dt>
          <dd title={`$${exact(cost)}`}>{formatUsd(cost)}</dd>
        </div>
        {costParts !== undefined && (
          <>
            <div>
              <dt>Input</dt>
              <dd title={`$${exact(costParts.input)}`}>{formatUsd(costParts.input)}</dd>
            </div>
            <div>
              <dt>Output</dt>
              <dd title={`$${exact(costParts.output)}`}>{formatUsd(costParts.output)}</dd>
            </div>
          </>
        )}
        <div>
          <dt>Per million tokens</dt>
          <dd>{optional(perMillion, formatUsd)}</dd>
        </div>
      </dl>
    </section>
  )
}

export function McpSection({ mcp }: { readonly mcp: NonNullable<LogEntry['mcp']> }) {
  const facts = [
    ['Method', mcp.method],
    ['Target', mcp.target],
    [mcp.resourceType === undefined ? 'Resource' : capital(mcp.resourceType), mcp.resource],
    ['Session', mcp.sessionId],
    ['Messages', mcp.messages > 1 ? String(mcp.messages) : undefined],
    ['Error type', mcp.errorType],
    ['JSON-RPC code', mcp.errorCode === undefined ? undefined : String(mcp.errorCode)],
    ['Message', mcp.errorMessage],
  ] as const
  return (
    <section class="stack" aria-label="MCP">
      <h3>MCP</h3>
      <dl class="facts">
        {facts.map(([name, value]) =>
          value === undefined ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
    </section>
  )
}

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)

export function AttemptsSection({ attempts }: { readonly attempts: LogEntry['attempts'] }) {
  return (
    <section class="stack" aria-label="Attempts">
      <h3>Attempts</h3>
      <div class="card table-frame">
        <table>
          <thead>
            <tr>
              <th scope="col">Endpoint</th>
              <th scope="col">Result</th>
              <th scope="col" class="number">
                Began after
              </th>
              <th scope="col" class="number">
                Duration
              </th>
            </tr>
          </thead>
          <tbody>
            {attempts.map((attempt, index) => (
              <tr key={`${index}${attempt.endpoint}`}>
                <td class="mono small">{attempt.endpoint}</td>
                <td>
                  {attempt.status ?? ''}{' '}
                  {attempt.errorType !== undefined && <span class="bad">{attempt.errorType}</span>}
                  {attempt.errorMessage !== undefined && <div class="soft small">{attempt.errorMessage}</div>}
                </td>
                <td class="number">{formatMs(attempt.startMs)}</td>
                <td class="number">{formatMs(attempt.durationMs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
