import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogEntry } from '../../src/admin/api-types.ts'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, demoText, startDemoGateway } from './gateway.ts'

interface OtlpTrace {
  readonly result: {
    readonly resourceSpans: readonly {
      readonly scopeSpans: readonly {
        readonly spans: readonly { readonly spanId: string; readonly name: string }[]
      }[]
    }[]
  }
}

const KEPT_PAYLOADS = 'frontendPolicies: {accessLog: {database: {llm: full}}}\n'

const part = (page: Page, name: string) => page.locator(`.split-side section[aria-label="${name}"]`)
const fact = (page: Page, name: string) =>
  page
    .locator('.split-side .facts > div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
    .locator('dd')
const spansShown = async (page: Page) => {
  await page.locator('[data-span]').first().waitFor()
  return page.locator('[data-span]').evaluateAll((rows) =>
    rows.map((row) => ({
      spanId: row.getAttribute('data-span'),
      name: row.querySelector('.waterfall-name .cut')?.textContent,
    })),
  )
}
const bySpanId = (one: { readonly spanId: string | null }, other: { readonly spanId: string | null }) =>
  String(one.spanId).localeCompare(String(other.spanId))

describeInBrowser('a request', () => {
  const browser = useBrowser()
  let demo: DemoGateway
  const traceIds = new Map<string, string>()

  beforeAll(async () => {
    demo = await startDemoGateway({ config: (parts) => demoText(parts) + KEPT_PAYLOADS })
    for (const { planned, traceId } of await demo.sendMix()) traceIds.set(planned.name, traceId)
  })
  afterAll(() => demo?.close())

  const recordOf = (name: string): Promise<LogEntry> => demo.recordOf(traceIds.get(name) ?? '')
  async function openRequest(name: string) {
    const record = await recordOf(name)
    const { page } = await browser.open(demo.ui(`/requests?open=${encodeURIComponent(record.id)}`))
    await part(page, 'Summary').waitFor()
    return { page, record }
  }

  test('opens on a click, can be shared, and back closes it', async () => {
    const { page } = await browser.open(demo.ui('/requests'))
    const row = page.locator('.rows tbody tr', { hasText: 'gpt-5-mini' })
    await row.click()
    await part(page, 'Summary').waitFor()
    const { id } = await recordOf('chat with reasoning')
    expect(new URL(page.url()).searchParams.get('open')).toBe(id)
    const shown = await page.locator('.split-side').textContent()

    await page.reload()
    await part(page, 'Summary').waitFor()
    expect(await page.locator('.split-side').textContent()).toBe(shown)
    expect(await row.getAttribute('aria-current')).toBe('true')

    await page.goBack()
    await page.locator('.split-side').waitFor({ state: 'detached' })
    expect(page.url()).toBe(demo.ui('/requests'))
  })

  test('shows its tokens and its cost', async () => {
    const { page, record } = await openRequest('messages from the cache')
    const tokens = await part(page, 'Tokens').textContent()
    expect(record.usage?.inputTokens).toBe(4000)
    expect(tokens).toContain('4,000 in')
    expect(tokens).toContain('Cache read 3,600')
    expect(tokens).toContain('Cache write 300')
    expect(tokens).toContain('Input 100')
    const total = part(page, 'Cost').locator('dd').first()
    expect(Number((await total.getAttribute('title'))?.slice(1))).toBeCloseTo(record.cost ?? Number.NaN, 10)
    expect(await fact(page, 'Duration').getAttribute('title')).toBe(`${record.durationMs} ms`)
  })

  test('shows what was asked and answered, where that is kept', async () => {
    const { page } = await openRequest('chat')
    const payload = part(page, 'Payload')
    expect(await payload.locator('pre').allTextContents()).toEqual([
      'What does a gateway do?',
      JSON.stringify({ model: 'gpt-4o-mini' }, undefined, 2),
      expect.stringMatching(/\w{3}/),
    ])
  })

  test('shows the time of each of its spans', async () => {
    const { page, record } = await openRequest('chat stream with usage')
    const shown = await spansShown(page)
    expect(shown.map(({ name }) => name)).toEqual([record.operation, 'chat gpt-4o-mini', 'POST 127.0.0.1'])
    await page.locator('[data-span]').nth(1).click()
    expect(await part(page, 'Timeline').textContent()).toContain('gen_ai.request.model')
    expect(await fact(page, 'First token').getAttribute('title')).toBe(`${record.firstTokenMs} ms`)
  })

  test.each([
    {
      name: 'chat, failed',
      says: 'The server had an error while processing your request',
      type: 'provider_server_error',
      status: '500',
    },
    { name: 'chat stream, reset', says: 'ECONNRESET', type: 'provider_reset', status: '200' },
    {
      name: 'messages stream, failed midway',
      says: 'Overloaded',
      type: 'provider_stream_error',
      status: '200',
    },
  ])('says why it failed: $name', async ({ name, says, type, status }) => {
    const { page } = await openRequest(name)
    const error = await part(page, 'Error').textContent()
    expect(error).toContain(says)
    expect(error).toContain(type)
    const attempts = part(page, 'Attempts')
    expect(await attempts.locator('tbody tr').count()).toBe(1)
    expect(await attempts.textContent()).toContain(
      `127.0.0.1:${(name.startsWith('chat') ? demo.openAI : demo.anthropic).port}`,
    )
    expect(await attempts.textContent()).toContain(status)
  })

  test('of MCP shows its tool and that it failed', async () => {
    const { page } = await openRequest('MCP: a tool that fails')
    const mcp = await part(page, 'MCP').textContent()
    expect(mcp).toMatch(/Target\s*weather/)
    expect(mcp).toMatch(/Tool\s*alerts/)
    expect(mcp).toContain('tool_error')
  })

  test.each(['chat stream by Anthropic', 'MCP: weather', 'chat, failed'])(
    'leads to its trace, which has the spans of the API: %s',
    async (name) => {
      const { page, record } = await openRequest(name)
      await page.getByRole('link', { name: 'Trace', exact: true }).click()
      await page.waitForURL(demo.ui(`/traces/${record.traceId}`))
      const response = await fetch(`${demo.adminUrl}/api/v3/traces/${record.traceId}`)
      const { result } = (await response.json()) as OtlpTrace
      const told = result.resourceSpans
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        .map(({ spanId, name: spanName }) => ({ spanId, name: spanName }))
      expect(told.length).toBeGreaterThan(1)
      expect((await spansShown(page)).sort(bySpanId)).toEqual(told.sort(bySpanId))

      const span = page.locator('[data-span]').nth(1)
      await span.click()
      await expect.poll(() => span.getAttribute('aria-selected')).toBe('true')
      const address = page.url()
      await page.reload()
      await span.waitFor()
      expect(await span.getAttribute('aria-selected')).toBe('true')
      expect(page.url()).toBe(address)
    },
  )

  test('that is not there is said so', async () => {
    const { page } = await browser.open(demo.ui('/requests?open=nowhere'))
    await page.getByRole('heading', { name: 'This request is not there any more' }).waitFor()
  })

  test('a trace that is not there is said so', async () => {
    const { page } = await browser.open(demo.ui(`/traces/${'ab'.repeat(16)}`), { allowed: /404/ })
    await page.getByRole('heading', { name: 'This trace is not there' }).waitFor()
  })
})
