import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

/** What the console promises. */
const SHOWN_WITHIN_MS = 2000

describeInBrowser('live requests', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway()
    await (await demo.chat()).text()
  })
  afterAll(() => demo?.close())

  async function openLive() {
    const { page } = await browser.open(demo.ui('/requests?live=1'))
    await page.locator('button[aria-pressed="true"] .dot.good').waitFor()
    await page.locator('tr .row-link').first().waitFor()
    return page
  }

  test.each([
    { name: 'a request', model: 'gpt-4.1', body: {}, script: {} },
    {
      name: 'a stream',
      model: 'gpt-4.1-mini',
      body: { stream: true },
      script: { chunks: 20, chunkDelayMs: 20 },
    },
    { name: 'a failure', model: 'o4-mini', body: {}, script: { status: 500 } },
  ])('$name is shown within two seconds of its end', async ({ model, body, script }) => {
    const page = await openLive()
    const row = page.locator('tbody tr', { hasText: model })
    expect(await row.count()).toBe(0)

    await (await demo.chat({ model, body, script })).text()
    const endedAt = performance.now()
    await row.waitFor()
    expect(performance.now() - endedAt).toBeLessThanOrEqual(SHOWN_WITHIN_MS)
    expect(await page.locator('tbody tr').first().textContent()).toContain(model)
  })

  test('many at once are shown once each, the newest first', async () => {
    const page = await openLive()
    const before = await page.locator('tbody tr').count()
    const answers = await Promise.all(Array.from({ length: 40 }, () => demo.chat()))
    await Promise.all(answers.map((answer) => answer.text()))

    await expect.poll(() => page.locator('tbody tr').count()).toBe(before + 40)
    const rows = page.locator('tbody .row-link')
    const ids = await rows.evaluateAll((links) => links.map((link) => link.getAttribute('data-row') ?? ''))
    expect(new Set(ids).size).toBe(ids.length)
    const times = await rows
      .locator('time')
      .evaluateAll((all) => all.map((one) => one.getAttribute('datetime') ?? ''))
    expect(times).toEqual([...times].sort().reverse())
  })

  test('what came while it was switched off is there once it is on again', async () => {
    const page = await openLive()
    const live = page.getByRole('button', { name: 'Live' })
    await live.click()
    expect(await live.getAttribute('aria-pressed')).toBe('false')
    const answer = await demo.chat({ model: 'gpt-4.1-nano' })
    await demo.recordOf(answer.headers.get('x-trace-id') ?? '')
    await live.click()
    await page.locator('tbody tr', { hasText: 'gpt-4.1-nano' }).waitFor()
  })

  test('filters hold for what comes, too', async () => {
    const { page } = await browser.open(demo.ui('/requests?live=1&model=claude-haiku-4-5'))
    await page.locator('button[aria-pressed="true"] .dot.good').waitFor()
    await page.getByRole('heading', { name: 'No request fits' }).waitFor()
    await (await demo.chat()).text()
    await (await demo.chat({ model: 'claude-haiku-4-5', path: '/anthropic/v1/chat/completions' })).text()
    await page.locator('tbody tr', { hasText: 'claude-haiku-4-5' }).waitFor()
    expect(await page.locator('tbody tr').count()).toBe(1)
  })
})
