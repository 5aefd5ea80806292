import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Analytics } from '../../src/admin/api-types.ts'
import { describeInBrowser, useBrowser, type WatchedPage } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

const SCRIPT = '<script>window.broken=1</script>'
const IMAGE = '"><img src="nowhere" onerror="window.broken=1">'
const NAMES = [
  `gpt-${SCRIPT}`,
  `gpt-'${IMAGE}`,
  'gpt-\u202Eoverridden\u202D',
  'gpt-{{7*7}}',
  `gpt-${'long'.repeat(2500)}`,
  '=HYPERLINK("http://evil.example")',
]
const TOOLS = [SCRIPT, IMAGE, 'x'.repeat(5000)]
const MODELS = 500
/** What a reader would call at once, on a machine that is busy. */
const AT_ONCE_MS = 3000

const isBroken = (page: Page) =>
  page.evaluate(
    () => 'broken' in window || document.querySelector('main script, main img[src="nowhere"]') !== null,
  )

const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

describeInBrowser('names that mean harm', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway()
    for (const model of NAMES) {
      const answer = await demo.chat({
        model,
        body: { user: `${model} ${IMAGE}` },
        script: {
          status: 400,
          errorBody: {
            error: { message: `No model ${model.slice(0, 500)} ${SCRIPT}`, type: SCRIPT, code: IMAGE },
          },
        },
        headers: { 'user-agent': IMAGE },
      })
      await answer.text()
    }
    for (const tool of TOOLS) await (await callTool(tool)).text()
    await Promise.all(
      Array.from({ length: MODELS }, async (_, index) =>
        (await demo.chat({ model: `gpt-number-${index}` })).text(),
      ),
    )
    await vi.waitFor(
      async () => {
        const { total } = await demo.ask<Analytics>('/api/logs/analytics/summary', { bucketCount: 1 })
        expect(total.requests).toBe(NAMES.length + TOOLS.length + MODELS)
      },
      { timeout: 20_000 },
    )
  })
  afterAll(() => demo?.close())

  const callTool = (name: string) =>
    fetch(`${demo.url}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
    })

  async function staysWhole({ page }: WatchedPage) {
    for (const width of [1440, 900]) {
      await page.setViewportSize({ width, height: 900 })
      await expect.poll(() => overflow(page)).toBe(0)
    }
    expect(await isBroken(page)).toBe(false)
  }

  test.each([
    { path: '/', content: '.panel' },
    { path: '/requests', content: '.row-link' },
    { path: '/requests?failed=0&status=400', content: '.row-link' },
    { path: '/traces?status=400', content: '.row-link' },
    { path: '/costs', content: '.group-name' },
    { path: '/costs?by=user', content: '.group-name' },
    { path: '/costs?by=operation', content: '.group-name' },
    { path: '/playground', content: '.suggestions' },
    {
      path: `/requests?model=${encodeURIComponent(NAMES[1] ?? '')}&q=${encodeURIComponent(SCRIPT)}`,
      content: '.filter-bar',
    },
    { path: `/mcp?tool=${encodeURIComponent(IMAGE)}`, content: '.targets' },
  ])('do none at $path', async ({ path, content }) => {
    const startedAt = performance.now()
    const watched = await browser.open(demo.ui(path))
    await watched.page.locator(content).first().waitFor()
    expect(performance.now() - startedAt).toBeLessThan(AT_ONCE_MS)
    await staysWhole(watched)
  })

  test.each(NAMES.map((name) => ({ name, shown: name.slice(0, 40) })))(
    'do none where a request is opened: $shown',
    async ({ name }) => {
      const { logs } = await demo.ask<{ logs: { id: string }[] }>('/api/logs/search', {
        filters: { httpStatus: [400], text: name.slice(0, 60) },
      })
      expect(logs.length).toBeGreaterThan(0)
      const watched = await browser.open(demo.ui(`/requests?open=${encodeURIComponent(logs[0]?.id ?? '')}`))
      const { page } = watched
      await page.locator('.split-side .facts').first().waitFor()
      expect(await page.locator('.split-side').textContent()).toContain(name.slice(0, 60))
      await staysWhole(watched)
    },
  )

  test('do none in the answer of a model, and in its error', async () => {
    const watched = await browser.open(demo.ui('/playground?model=gpt-4o-mini'), {
      allowed: /status 400|\(Bad Request\)/,
    })
    const { page } = watched
    for (const script of [
      { text: `${SCRIPT} ${IMAGE}` },
      { status: 400, errorBody: { error: { message: IMAGE } } },
    ]) {
      demo.openAI.next(script)
      await page.getByLabel('Your message').fill(IMAGE)
      await page.getByLabel('Your message').press('Enter')
      await page.locator('.turn:not(.user)').last().getByRole('link', { name: 'Request' }).waitFor()
    }
    expect(await page.locator('.turn-text').nth(1).textContent()).toBe(`${SCRIPT} ${IMAGE}`)
    await staysWhole(watched)
  })

  test('five hundred models can be searched, and none is left out of the sums', async () => {
    const { page } = await browser.open(demo.ui('/costs?range=1h'))
    await page.getByRole('button', { name: /^Show all \d+$/ }).click()
    const table = page.locator('section[aria-label="Costs by model"] tbody')
    expect(await table.locator('.group-name a', { hasText: 'others' }).count()).toBe(0)
    expect(await table.locator('.group-name', { hasText: '(all others)' }).count()).toBe(1)
    const requests = await table.locator('td:nth-of-type(1)').allTextContents()
    const sum = requests.reduce((all, one) => all + Number(one), 0)
    const { total } = await demo.ask<Analytics>('/api/logs/analytics/summary', { bucketCount: 1 })
    expect(sum).toBe(total.requests)

    await page.goto(demo.ui('/requests'))
    await page.getByRole('button', { name: 'Model', exact: true }).click()
    await page.getByLabel('Find model').fill('number-499')
    await page.getByRole('checkbox').check()
    await page.keyboard.press('Escape')
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1)
    expect(await page.locator('tbody tr').textContent()).toContain('gpt-number-499')
  })
})
