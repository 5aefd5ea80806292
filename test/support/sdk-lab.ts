/**
 * One gateway before both simulated providers, with a route for every pair of APIs, and the official clients for it.
 *
 * `audit()` is what every test ends with: what the providers billed, the access log and the metrics must agree.
 */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { expect } from 'vitest'
import type { BilledCall } from '../../src/demo/ledger.ts'
import {
  type SimulatedProvider,
  startSimulatedAnthropic,
  startSimulatedOpenAI,
} from '../../src/demo/provider.ts'
import type { Script } from '../../src/demo/script.ts'
import { type RunningGateway, runGateway } from './gateway.ts'

const PREFIXES = [
  '/openai',
  '/anthropic',
  '/chat-only',
  '/responses-only',
  '/messages-only',
  '/passthrough',
  '/passthrough-anthropic',
  '/detect',
  '/detect-anthropic',
] as const
export type Prefix = (typeof PREFIXES)[number]

export interface SdkLab {
  readonly openAI: SimulatedProvider
  readonly anthropic: SimulatedProvider
  readonly gateway: RunningGateway
  /** Without a prefix: straight to the simulated OpenAI. */
  readonly openAIClient: (prefix?: Prefix, apiKey?: string) => OpenAI
  /** Without a prefix: straight to the simulated Anthropic. */
  readonly anthropicClient: (prefix?: Prefix, apiKey?: string) => Anthropic
  /** The access lines of the requests that reached a provider, once the last of them is written; oldest first. */
  readonly records: () => Promise<readonly AccessRecord[]>
  readonly lastRecord: () => Promise<AccessRecord>
  /** Fails unless ledger, access log and metrics tell the same tokens. */
  readonly audit: () => Promise<void>
  readonly close: () => Promise<void>
}

export type AccessRecord = Readonly<Record<string, unknown>>

const ROUTES = `
                      /v1/chat/completions: completions
                      /v1/responses: responses
                      /v1/embeddings: embeddings
                      /v1/messages: messages
                      /v1/messages/count_tokens: anthropicTokenCount
                      /v1/models: models
                      "*": passthrough`

const route = (prefix: Prefix, provider: string, port: number, routes = ROUTES) => `
          - matches: [{path: {pathPrefix: ${prefix}}}]
            policies: {urlRewrite: {path: {prefix: /}}}
            backends:
              - ai:
                  name: ${prefix.slice(1)}
                  hostOverride: 127.0.0.1:${port}
                  provider: ${provider}
                  policies:
                    ai:
                      routes: ${routes.replaceAll('\n', '\n  ')}`

const yamlFor = (openAI: number, anthropic: number) => `
binds:
  - port: 0
    listeners:
      - routes:${[
        route('/openai', '{openAI: {}}', openAI),
        route('/anthropic', '{anthropic: {}}', anthropic),
        route('/chat-only', '{custom: {formats: [{type: completions}]}}', openAI),
        route('/responses-only', '{custom: {formats: [{type: responses}]}}', openAI),
        route('/messages-only', '{custom: {formats: [{type: messages}]}}', anthropic),
        route('/passthrough', '{openAI: {}}', openAI, '{"*": passthrough}'),
        route('/passthrough-anthropic', '{anthropic: {}}', anthropic, '{"*": passthrough}'),
        route('/detect', '{openAI: {}}', openAI, '{"*": detect}'),
        route('/detect-anthropic', '{anthropic: {}}', anthropic, '{"*": detect}'),
      ].join('')}
`

export interface LabOptions {
  /** Fixed answers, as `ProviderOptions.fixed` has them. */
  readonly fixed?: Script
}

export async function startSdkLab({ fixed }: LabOptions = {}): Promise<SdkLab> {
  const options = fixed === undefined ? {} : { fixed: true, defaults: fixed }
  const openAI = await startSimulatedOpenAI(options)
  const anthropic = await startSimulatedAnthropic(options)
  const gateway = await runGateway(yamlFor(openAI.port, anthropic.port))
  const audited = new Set<BilledCall>()

  const providers = [openAI, anthropic]

  /** Each call with its access line. The tests ask one thing after the other, so that the order is the same. */
  async function pairs(): Promise<readonly (readonly [BilledCall, AccessRecord])[]> {
    const found: (readonly [BilledCall, AccessRecord])[] = []
    for (const provider of providers) {
      await provider.waitFor(() => provider.inFlight === 0)
      const calls = provider.calls.filter((call) => call.headers[DIRECT] === undefined)
      for (;;) {
        const written = gateway.records()
        const own = written.filter(({ endpoint }) => endpoint === `127.0.0.1:${provider.port}`)
        if (own.length >= calls.length) {
          expect(own).toHaveLength(calls.length)
          found.push(...calls.map((call, index) => [call, own[index] ?? {}] as const))
          break
        }
        await gateway.recorded(written.length + 1)
      }
    }
    return found.toSorted(([one], [other]) => one.receivedAt - other.receivedAt)
  }

  const records = async () => (await pairs()).map(([, record]) => record)

  async function audit() {
    for (const [call, record] of await pairs()) {
      if (audited.has(call)) continue
      audited.add(call)
      if (isCounted(call, record)) expect(usageIn(record)).toEqual(usageOf(call))
    }
    const all = gateway.records()
    const sum = (field: string) => all.reduce((total, record) => total + Number(record[field] ?? 0), 0)
    // Fetched once: this runs after every test.
    const told = await gateway.metrics()
    const tokens = 'agentgateway_gen_ai_client_token_usage_sum'
    const parts = 'agentgateway_gen_ai_client_token_details_total'
    expect({
      input: total(told, tokens, 'token_type="input"'),
      output: total(told, tokens, 'token_type="output"'),
      cacheRead: total(told, parts, 'token_type="input_cache_read"'),
      cacheWrite: total(told, parts, 'token_type="input_cache_write"'),
      reasoning: total(told, parts, 'token_type="output_reasoning"'),
      requests: total(told, 'agentgateway_requests_total'),
    }).toEqual({
      input: sum('gen_ai.usage.input_tokens'),
      output: sum('gen_ai.usage.output_tokens'),
      cacheRead: sum('gen_ai.usage.cache_read.input_tokens'),
      cacheWrite: sum('gen_ai.usage.cache_creation.input_tokens'),
      reasoning: sum('gen_ai.usage.reasoning_tokens'),
      requests: all.length,
    })
  }

  return {
    openAI,
    anthropic,
    gateway,
    openAIClient: (prefix, apiKey = 'sk-test') =>
      new OpenAI({
        baseURL: prefix === undefined ? `${openAI.url}/v1` : `${gateway.url}${prefix}/v1`,
        apiKey,
        maxRetries: 0,
        defaultHeaders: direct(prefix),
      }),
    anthropicClient: (prefix, apiKey = 'sk-ant-api03-test') =>
      new Anthropic({
        baseURL: prefix === undefined ? anthropic.url : `${gateway.url}${prefix}`,
        apiKey,
        authToken: null,
        maxRetries: 0,
        defaultHeaders: direct(prefix),
      }),
    records,
    async lastRecord() {
      const last = (await records()).at(-1)
      if (last === undefined) throw new Error('no request has reached a provider')
      return last
    },
    audit,
    async close() {
      await gateway.close()
      await openAI.close()
      await anthropic.close()
    },
  }
}

const DIRECT = 'x-direct'
/** Marks a request that does not go through the gateway: it has no record. */
export const DIRECT_HEADERS = { [DIRECT]: 'yes' }
const direct = (prefix: Prefix | undefined) => (prefix === undefined ? DIRECT_HEADERS : {})

/** Cut calls and silent ones are estimated, refused ones cost nothing, passed-through ones are not read. */
function isCounted(call: BilledCall, record: AccessRecord): boolean {
  const conversation = ['completions', 'responses', 'messages', 'embeddings'].includes(call.api)
  const unasked = call.api === 'completions' && call.streamed && !call.body.includes('"include_usage"')
  const silent = unasked || call.headers['x-simulate']?.includes('missing-usage') === true
  const unread = String(record.backend).startsWith('passthrough')
  return conversation && call.completed && call.status < 400 && !silent && !unread
}

/** The sum of a family's samples that bear the label. */
function total(metrics: string, family: string, label = ''): number {
  const samples = metrics.split('\n').filter((line) => line.startsWith(`${family}{`) && line.includes(label))
  return samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const usageOf = (call: BilledCall) => ({
  input: call.inputTokens,
  output: call.outputTokens,
  cacheRead: call.cacheReadTokens,
  cacheWrite: call.cacheWriteTokens,
  reasoning: call.reasoningTokens,
  source: 'provider',
})

/** The record leaves zeros of the parts out, never those of the totals. */
const usageIn = (record: AccessRecord) => ({
  input: record['gen_ai.usage.input_tokens'],
  output: record['gen_ai.usage.output_tokens'],
  cacheRead: record['gen_ai.usage.cache_read.input_tokens'] ?? 0,
  cacheWrite: record['gen_ai.usage.cache_creation.input_tokens'] ?? 0,
  reasoning: record['gen_ai.usage.reasoning_tokens'] ?? 0,
  source: record['agw.ai.usage.source'],
})

/** What the provider is to do with a request: a header, hence ASCII. */
export const simulate = (script: Script): Record<string, string> => ({
  'x-simulate': JSON.stringify(script).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  ),
})

const RANDOM =
  /^(id|_?request_id|created|created_at|completed_at|item_id|call_id|tool_call_id|tool_use_id|obfuscation)$/

/** What an SDK returned, without the parts that differ from call to call. */
export const comparable = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, field) => (RANDOM.test(key) ? `<${key}>` : field)))

/** What the provider was asked last, parsed. */
export function lastBody(provider: SimulatedProvider): Record<string, unknown> {
  return JSON.parse(provider.calls.at(-1)?.body ?? 'null') as Record<string, unknown>
}

export async function collect<Item>(stream: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of stream) items.push(item)
  return items
}
