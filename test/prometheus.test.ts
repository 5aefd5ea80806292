/** The tutorial's PromQL, run by a real Prometheus that scrapes a real gateway. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type SimulatedProvider, startSimulatedOpenAI } from '../src/demo/provider.ts'
import { freePort } from './support/free-port.ts'
import { type RunningGateway, runGateway } from './support/gateway.ts'

const isPresent = spawnSync('prometheus', ['--version']).status === 0
if (!isPresent)
  process.stdout.write('prometheus is not installed (Debian package `prometheus`): its queries are not run\n')

/** As they stand in the tutorial. */
const TUTORIAL = {
  'request rate per second': 'sum(rate(agentgateway_requests_total[5m]))',
  'token usage by model':
    'sum by (gen_ai_response_model) (rate(agentgateway_gen_ai_client_token_usage_sum[5m]))',
  'error rate':
    'sum(rate(agentgateway_requests_total{status=~"5.."}[5m])) / sum(rate(agentgateway_requests_total[5m]))',
  'tokens per request':
    'sum(rate(agentgateway_gen_ai_client_token_usage_sum[5m])) / sum(rate(agentgateway_requests_total[5m]))',
} as const

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const [, block = ''] = /```promql\n([\s\S]*?)```/.exec(readme) ?? []
const README = Object.fromEntries(
  block
    .split('# ')
    .filter((part) => part.trim() !== '')
    .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n')).trim()]),
)

interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

describe.runIf(isPresent)('a real Prometheus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agentgateway-prometheus-'))
  let provider: SimulatedProvider
  let gateway: RunningGateway
  let prometheus: ChildProcess
  let api: string

  async function query(promql: string): Promise<readonly Sample[]> {
    const response = await fetch(`${api}/query?query=${encodeURIComponent(promql)}`)
    const reply = (await response.json()) as { status: string; error?: string; data?: { result: Sample[] } }
    if (reply.status !== 'success') throw new Error(`${promql}: ${reply.error}`)
    return reply.data?.result ?? []
  }

  /** Resolves once Prometheus has scraped so far that the query gives this value. */
  const seen = (promql: string, value: string) =>
    vi.waitFor(async () => expect((await query(promql))[0]?.value[1]).toBe(value), {
      timeout: 20_000,
      interval: 200,
    })

  async function chat(script: object = {}): Promise<number> {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: 'Bearer sk-test',
        'x-simulate': JSON.stringify(script),
      },
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello!' }] }),
    })
    await response.text()
    return response.status
  }

  beforeAll(async () => {
    provider = await startSimulatedOpenAI()
    gateway = await runGateway(`
binds:
  - port: 0
    listeners:
      - routes:
          - backends:
              - ai: {name: openai, provider: {openAI: {}}, hostOverride: "127.0.0.1:${provider.port}"}
`)
    expect(await chat()).toBe(200)
    const port = await freePort()
    api = `http://127.0.0.1:${port}/api/v1`
    writeFileSync(
      join(folder, 'prometheus.yml'),
      `global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: agentgateway\n    static_configs: [{targets: ["${gateway.statsUrl.slice('http://'.length)}"]}]\n`,
    )
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--enable-feature=exemplar-storage',
      ],
      { stdio: 'ignore' },
    )
    // The first scrape sees one request; rate() needs a later one that sees more.
    await seen('sum(agentgateway_requests_total)', '1')
    for (let i = 0; i < 5; i++) expect(await chat()).toBe(200)
    expect(await chat({ status: 500 })).toBe(500)
    await seen('sum(agentgateway_requests_total)', '7')
    await seen('min(count_over_time(agentgateway_requests_total[5m])) >= bool 2', '1')
  })

  afterAll(async () => {
    prometheus.kill()
    await new Promise((resolve) => prometheus.once('exit', resolve))
    await gateway.close()
    await provider.close()
    rmSync(folder, { recursive: true })
  })

  test.each(Object.entries({ ...TUTORIAL, ...README }))('answers: %s', async (_name, promql) => {
    const samples = await query(promql)
    expect(samples.length).toBeGreaterThan(0)
    for (const { value } of samples) expect(Number(value[1])).not.toBeNaN()
  })

  test("it takes the README's queries from the page", () => {
    expect(Object.keys(README).length).toBe(3)
  })

  test('it tells the tokens by the model that answered', async () => {
    const samples = await query(TUTORIAL['token usage by model'])
    expect(samples.map(({ metric }) => metric.gen_ai_response_model)).toEqual(['gpt-4o-mini-2024-07-18'])
  })

  test('it sees as many tokens as were billed', async () => {
    const [input] = await query('sum(agentgateway_gen_ai_client_token_usage_sum{token_type="input"})')
    const [output] = await query('sum(agentgateway_gen_ai_client_token_usage_sum{token_type="output"})')
    expect(Number(input?.value[1])).toBe(provider.totals.inputTokens)
    expect(Number(output?.value[1])).toBe(provider.totals.outputTokens)
  })
})
