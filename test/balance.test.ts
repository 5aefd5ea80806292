/**
 * The books: what providers billed, what metrics counted, what spans and log lines say, over a mix with aborts and
 * faults. Equal to the token where a provider reported; elsewhere equal among ours, and near the bill.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BilledCall } from '../src/demo/ledger.ts'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../src/demo/provider.ts'
import type { Script } from '../src/demo/script.ts'
import { type Collector, type Span, startCollector } from './support/collector.ts'
import {
  anthropicBackend,
  type ChatOptions,
  chatBody,
  gatewayWith,
  messagesBody,
  openAIBackend,
} from './support/configuration.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'
import { collect, open } from './support/wire.ts'

/** Of the estimated output tokens against the billed ones, over the mix; the worst measured is in the test's output. */
const TOLERANCE = 0.1

const PROSE =
  'The harbour was quiet before the storm, and the fishermen had pulled their boats up on the sand. ' +
  'Nobody spoke of the letter that had come in the morning, although everybody knew what it said. '

type Line = Readonly<Record<string, unknown>>

interface Ask {
  readonly backend: 'openai' | 'anthropic'
  readonly client: 'chat' | 'messages' | 'responses'
  readonly stream: boolean
  readonly script: Script
  /** The client leaves when it has seen this many words of the answer. */
  readonly leaveAfter?: number
}

const SCRIPTS: readonly Script[] = [
  {},
  { text: PROSE.repeat(3) },
  { inputTokens: 1234, outputTokens: 567, cacheReadTokens: 1000, cacheWriteTokens: 100, reasoningTokens: 89 },
  { toolCalls: [{ name: 'weather', arguments: '{"city":"Paris"}' }] },
  { text: PROSE, gzip: true },
  { text: PROSE, splitBytes: 7 },
  { text: PROSE, crlf: true, comments: true, noFinalBlank: true },
  { fault: 'missing-usage', text: PROSE.repeat(2) },
  { fault: 'truncate', afterChunks: 12, chunks: 30, text: PROSE.repeat(2) },
  { fault: 'reset', afterChunks: 20, chunks: 30, text: PROSE.repeat(2) },
  { fault: 'garbage', afterChunks: 15, chunks: 30, text: PROSE.repeat(2) },
  { fault: 'midstream-error', afterChunks: 25, chunks: 30, text: PROSE.repeat(2) },
  { fault: 'reset' },
  { status: 429 },
  { status: 500 },
]

const SPEAKERS = [
  { backend: 'openai', client: 'chat' },
  { backend: 'anthropic', client: 'messages' },
  { backend: 'openai', client: 'messages' },
  { backend: 'anthropic', client: 'chat' },
  { backend: 'openai', client: 'responses' },
] as const

const MIX: readonly Ask[] = SPEAKERS.flatMap((speaker) => [
  ...SCRIPTS.flatMap((script) => [true, false].map((stream) => ({ ...speaker, stream, script }))),
  ...[1, 10, 30].map((leaveAfter) => ({
    ...speaker,
    stream: true,
    script: { text: PROSE.repeat(4), chunks: 120, chunkDelayMs: 5 },
    leaveAfter,
  })),
])

const PATHS = { chat: '/v1/chat/completions', messages: '/v1/messages', responses: '/v1/responses' }

let providers: Record<Ask['backend'], SimulatedProvider>
let collector: Collector
let gateway: RunningGateway
let lines: readonly Line[]
let counted: Readonly<Record<string, number>>
const sources: Record<string, number> = {}

beforeAll(async () => {
  providers = { openai: await startSimulatedOpenAI(), anthropic: await startSimulatedAnthropic() }
  collector = await startCollector()
  const to = (name: string) => ({ matches: [{ headers: [{ name: 'x-backend', value: { exact: name } }] }] })
  gateway = await runGateway(
    gatewayWith(
      [
        { ...to('openai'), backends: [openAIBackend(providers.openai)] },
        { ...to('anthropic'), backends: [anthropicBackend(providers.anthropic)] },
      ],
      { config: { tracing: { otlpEndpoint: collector.url, randomSampling: true } } },
    ),
  )
  const waiting = [...MIX]
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let ask = waiting.pop(); ask !== undefined; ask = waiting.pop()) await run(ask)
    }),
  )
  lines = await gateway.recorded(MIX.length)
  counted = await tokensCounted()
  const family = 'agentgateway_gen_ai_client_usage_source_total'
  for (const source of SOURCES) sources[source] = await gateway.metric(family, { usage_source: source })
  for (const provider of Object.values(providers)) await provider.waitFor(() => provider.inFlight === 0)
  await gateway.close()
})

afterAll(async () => {
  await providers.openai.close()
  await providers.anthropic.close()
  await collector.close()
})

const SOURCES = ['provider', 'partial', 'estimated', 'none']

function bodyOf({ backend, client, stream }: Ask) {
  const options: ChatOptions = {
    stream,
    model: backend === 'openai' ? 'gpt-4o-mini' : 'claude-sonnet-4-5',
    text: 'Tell me about the harbour, please, in a few sentences.',
  }
  if (client === 'chat') return chatBody(options)
  return client === 'messages' ? messagesBody(options) : { model: options.model, stream, input: options.text }
}

async function run(ask: Ask): Promise<void> {
  const response = await open(`http://${new URL(gateway.url).host}${PATHS[ask.client]}`, {
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer sk-test',
      'anthropic-version': '2023-06-01',
      'x-backend': ask.backend,
      'x-simulate': JSON.stringify(ask.script),
    },
    body: JSON.stringify(bodyOf(ask)),
  })
  if (ask.leaveAfter === undefined) {
    await collect(response)
    return
  }
  let deltas = 0
  for await (const piece of response) {
    deltas += String(piece).split('data:').length - 1
    if (deltas >= ask.leaveAfter) break
  }
  response.destroy()
}

/** Our names of the token types -> the log line's, the span's, the bill's. */
const TYPES = {
  input: { line: 'gen_ai.usage.input_tokens', span: 'gen_ai.usage.input_tokens', bill: 'inputTokens' },
  output: { line: 'gen_ai.usage.output_tokens', span: 'gen_ai.usage.output_tokens', bill: 'outputTokens' },
  input_cache_read: {
    line: 'gen_ai.usage.cache_read.input_tokens',
    span: 'gen_ai.usage.cache_read.input_tokens',
    bill: 'cacheReadTokens',
  },
  input_cache_write: {
    line: 'gen_ai.usage.cache_creation.input_tokens',
    span: 'gen_ai.usage.cache_write.input_tokens',
    bill: 'cacheWriteTokens',
  },
  output_reasoning: {
    line: 'gen_ai.usage.reasoning_tokens',
    span: 'gen_ai.usage.reasoning.output_tokens',
    bill: 'reasoningTokens',
  },
} as const
type TokenType = keyof typeof TYPES
const TOKEN_TYPES = Object.keys(TYPES) as TokenType[]

const count = (value: unknown) => Number(value ?? 0)
const tokensOf = (read: (type: TokenType) => unknown) =>
  Object.fromEntries(TOKEN_TYPES.map((type) => [type, count(read(type))]))
const lineTokens = (line: Line | undefined) => tokensOf((type) => line?.[TYPES[type].line])
const spanTokens = (span: Span | undefined) => tokensOf((type) => span?.attributes[TYPES[type].span])
const billTokens = (call: BilledCall | undefined) => tokensOf((type) => call?.[TYPES[type].bill])
const totalOf = (all: readonly Readonly<Record<string, number>>[]) =>
  tokensOf((type) => all.reduce((sum, one) => sum + count(one[type]), 0))

async function tokensCounted() {
  const family = (type: TokenType) =>
    type === 'input' || type === 'output'
      ? 'agentgateway_gen_ai_client_token_usage_sum'
      : 'agentgateway_gen_ai_client_token_details_total'
  const values = await Promise.all(
    TOKEN_TYPES.map((type) => gateway.metric(family(type), { token_type: type })),
  )
  return Object.fromEntries(TOKEN_TYPES.map((type, index) => [type, values[index] ?? Number.NaN]))
}

const callSpans = () => collector.spans.filter(({ attributes }) => 'gen_ai.operation.name' in attributes)

/** Each request of the mix, with its line, its span and its bill, put together by the trace that all three name. */
function books() {
  const spans = new Map(callSpans().map((span) => [span.traceId, span]))
  const calls = [...providers.openai.calls, ...providers.anthropic.calls]
  const bills = new Map(calls.map((call) => [call.traceparent?.split('-')[1], call]))
  return lines.map((line) => {
    const trace = String(line['trace.id'])
    return {
      line,
      source: String(line['agw.ai.usage.source']),
      span: spans.get(trace),
      bill: bills.get(trace),
    }
  })
}

test('it keeps one line, one span and one bill of every request of the mix', () => {
  expect(lines).toHaveLength(MIX.length)
  expect(callSpans()).toHaveLength(MIX.length)
  expect(providers.openai.calls.length + providers.anthropic.calls.length).toBe(MIX.length)
  expect(books().filter(({ span, bill }) => span === undefined || bill === undefined)).toEqual([])
  const outcomes = new Set(lines.map(({ outcome }) => outcome))
  expect([...outcomes].sort()).toEqual([
    'client_abort',
    'completed',
    'upstream_error',
    'upstream_midstream_error',
  ])
  const found = new Set(books().map(({ source }) => source))
  expect([...found].sort()).toEqual([...SOURCES].sort())
})

test('it tells the same tokens in metrics, spans and log lines, of every type', () => {
  const fromLines = totalOf(lines.map(lineTokens))
  expect(totalOf(callSpans().map(spanTokens))).toEqual(fromLines)
  expect(counted).toEqual(fromLines)
  expect(TOKEN_TYPES.filter((type) => fromLines[type] === 0)).toEqual([])
  for (const { line, span } of books()) {
    expect(spanTokens(span)).toEqual(lineTokens(line))
    expect(span?.attributes['agentgateway.usage_source']).toBe(line['agw.ai.usage.source'])
    expect(span?.attributes['agw.ai.usage.cost.total'] ?? 0).toBeCloseTo(
      count(line['agw.ai.usage.cost.total']),
      12,
    )
  }
})

test('it counts every request under the source that its line names', () => {
  const named = SOURCES.map((name) => [name, books().filter(({ source }) => source === name).length])
  expect(sources).toEqual(Object.fromEntries(named))
})

test('it counts what the provider billed, to the token, wherever the provider reported', () => {
  const reported = books().filter(({ source }) => source === 'provider')
  expect(reported.length).toBeGreaterThan(50)
  for (const { line, bill } of reported) expect(lineTokens(line)).toEqual(billTokens(bill))
  const total = totalOf(reported.map(({ bill }) => billTokens(bill)))
  expect(TOKEN_TYPES.filter((type) => total[type] === 0)).toEqual([])
})

test('it counts nothing where the provider billed nothing', () => {
  const refused = books().filter(({ bill }) => (bill?.status ?? 0) >= 400)
  expect(refused.length).toBeGreaterThan(0)
  for (const { line, source } of refused) {
    expect(source).toBe('none')
    expect(lineTokens(line)).toEqual(totalOf([]))
  }
})

describe('where the provider did not get to report', () => {
  const unreported = () => books().filter(({ source }) => source === 'partial' || source === 'estimated')

  test('it has the input of Anthropic, cache included, to the token', () => {
    const partial = unreported().filter(({ source }) => source === 'partial')
    expect(partial.length).toBeGreaterThan(5)
    for (const { line, bill } of partial) {
      const { output: _, output_reasoning: __, ...ours } = lineTokens(line)
      const { output: ___, output_reasoning: ____, ...theirs } = billTokens(bill)
      expect(ours).toEqual(theirs)
    }
  })

  test(`it estimates the rest within ${TOLERANCE * 100}% of the bill`, () => {
    const deviations = (['input', 'output'] as const).map((type) => {
      const ours = totalOf(unreported().map(({ line }) => lineTokens(line)))[type] ?? 0
      const theirs = totalOf(unreported().map(({ bill }) => billTokens(bill)))[type] ?? 0
      return { type, ours, theirs, deviation: ours / theirs - 1 }
    })
    console.info(
      deviations
        .map(
          ({ type, ours, theirs, deviation }) =>
            `${type}: ${ours} of ${theirs} (${(deviation * 100).toFixed(1)}%)`,
        )
        .join(', '),
    )
    for (const { deviation } of deviations) expect(Math.abs(deviation)).toBeLessThan(TOLERANCE)
  })
})
