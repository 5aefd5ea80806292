import { exact, formatCount, formatMs, formatUsd } from '../format/numbers.ts'
import { href } from '../navigation/location.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { Icon } from '../parts/icons.tsx'
import type { Reply } from './ask.ts'
import type { Exchange } from './conversation.ts'

export function ExchangeView({ exchange }: { readonly exchange: Exchange }) {
  const { question, model, reply } = exchange
  return (
    <>
      <article class="turn user" aria-label="You">
        <p class="turn-text">{question}</p>
      </article>
      <article class="turn" aria-label={model} aria-busy={!reply.isDone}>
        <header class="row small soft">
          <strong class="cut">{model}</strong>
          {reply.text !== '' && reply.isDone && <CopyButton text={reply.text} what="answer" />}
        </header>
        {reply.reasoning !== '' && (
          <details>
            <summary class="soft small">Reasoning</summary>
            <p class="turn-text soft">{reply.reasoning}</p>
          </details>
        )}
        {reply.text !== '' && <p class="turn-text">{reply.text}</p>}
        {!reply.isDone && <span class="typing" role="status" aria-label="The model is answering" />}
        {reply.error !== undefined && (
          <div class="notice bad" role="alert">
            <h2>{reply.status === undefined ? 'No answer' : `The API answered ${reply.status}`}</h2>
            <pre class="wrap">{reply.error}</pre>
            {reply.status === 401 && (
              <p>A key is asked for, by the gateway or by the provider: put it into “Client key”.</p>
            )}
          </div>
        )}
        {reply.wasStopped && <p class="soft small">Stopped.</p>}
        {reply.isDone && reply.text === '' && reply.error === undefined && !reply.wasStopped && (
          <p class="soft">
            The answer has no text{reply.stopReason !== undefined && ` (${reply.stopReason})`}.
          </p>
        )}
        {reply.isDone && <Facts exchange={exchange} />}
      </article>
    </>
  )
}

interface Fact {
  readonly name: string
  readonly value: string
  readonly title?: string
}

/** Between the first token and the end; where the first is not known, over the whole time. */
function tokensPerSecond({ tokens, totalMs, firstTokenMs }: Reply): number | undefined {
  if (tokens?.output === undefined || totalMs === undefined) return undefined
  const ms = totalMs - (firstTokenMs ?? 0)
  return ms <= 0 ? undefined : tokens.output / (ms / 1000)
}

function factsOf({ reply, record }: Exchange): readonly Fact[] {
  const input = reply.tokens?.input ?? record?.usage?.inputTokens
  const output = reply.tokens?.output ?? record?.usage?.outputTokens
  const cached = reply.tokens?.cached ?? record?.usage?.cacheReadTokens ?? 0
  const speed = tokensPerSecond(reply)
  return [
    ...(input !== undefined && output !== undefined
      ? [
          {
            name: 'tokens',
            value: `${formatCount(input)} → ${formatCount(output)}`,
            title: cached > 0 ? `${exact(cached)} read from the cache` : 'in → out',
          },
        ]
      : []),
    ...timeFact('first token', record?.firstTokenMs, reply.firstTokenMs),
    ...timeFact('in all', record?.durationMs, reply.totalMs),
    ...(speed !== undefined ? [{ name: 'tokens/s', value: formatCount(Number(speed.toPrecision(3))) }] : []),
    ...(record?.cost !== undefined
      ? [{ name: 'cost', value: formatUsd(record.cost), title: `$${exact(record.cost)}` }]
      : []),
    ...(reply.stopReason !== undefined ? [{ name: 'end', value: reply.stopReason }] : []),
  ]
}

/** The gateway's time, as its record has it; until that is known, this browser's. */
function timeFact(name: string, recorded: number | undefined, seen: number | undefined): readonly Fact[] {
  const ms = recorded ?? seen
  if (ms === undefined) return []
  const here =
    seen === undefined || recorded === undefined ? '' : `, ${exact(Math.round(seen))} ms in this browser`
  return [{ name, value: formatMs(ms), title: `${exact(ms)} ms${here}` }]
}

function Facts({ exchange }: { readonly exchange: Exchange }) {
  const { reply, record } = exchange
  return (
    <footer class="turn-facts">
      {factsOf(exchange).map(({ name, value, title }) => (
        <span key={name} title={title}>
          <span class="faint">{name}</span> {value}
        </span>
      ))}
      {record === undefined && <span class="faint">looking for its record…</span>}
      {record !== null && record !== undefined && (
        <a href={href('/requests', { trace: record.traceId, range: '24h', open: record.id })}>
          <Icon name="requests" /> Request
        </a>
      )}
      {reply.traceId !== undefined && (
        <a href={href(`/traces/${reply.traceId}`)}>
          <Icon name="traces" /> Trace
        </a>
      )}
    </footer>
  )
}
