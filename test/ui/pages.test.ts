import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'
import { PAGES } from './pages.ts'

const SCREENSHOTS = fileURLToPath(new URL('./screenshots/', import.meta.url))
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Rules that people are kept out by. */
async function graveViolations(page: Page, rules?: readonly string[]): Promise<readonly string[]> {
  await page.evaluate(AXE)
  const options = rules === undefined ? {} : { runOnly: rules }
  const { violations } = await page.evaluate<AxeResults>(`axe.run(${JSON.stringify(options)})`)
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`))
}

const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

describeInBrowser('each page', () => {
  const browser = useBrowser()
  let demo: DemoGateway
  let traceId: string
  let requestId: string

  beforeAll(async () => {
    mkdirSync(SCREENSHOTS, { recursive: true })
    demo = await startDemoGateway()
    const sent = await demo.sendMix()
    traceId = sent.find(({ planned }) => planned.name === 'chat, failed')?.traceId ?? ''
    requestId = (await demo.recordOf(traceId)).id
  })
  afterAll(() => demo.close())

  const all = [
    ...PAGES.map((one) => ({ name: one.title.toLowerCase().replaceAll(' ', '-'), ...one })),
    { name: 'request', path: '/requests?open=ID', title: 'Requests', content: '.split-side .facts' },
    { name: 'trace', path: '/traces/TRACE', title: 'Trace', content: '.waterfall-bar' },
    { name: 'runner', path: '/mcp?run=PORT/mcp', title: 'MCP', content: '.runner-call' },
    { name: 'missing', path: '/nowhere', title: 'Not found', content: '.empty' },
  ]

  test.each(all)('$name opens, in light and in dark, whole and reachable for everybody', async (one) => {
    const path = one.path
      .replace('ID', encodeURIComponent(requestId))
      .replace('TRACE', traceId)
      .replace('PORT', String(demo.port))
    const { page } = await browser.open(demo.ui(path))
    await page.locator(one.content).first().waitFor()
    await page.getByText(/^0\.0\.0-test, up/).waitFor()
    expect(await page.title()).toBe(`${one.title} · AgentGateway`)
    expect(await page.locator('h1').textContent()).toBe(one.title)
    expect(await overflow(page)).toBe(0)
    await page.screenshot({ path: `${SCREENSHOTS}${one.name}-light.png` })
    expect(await graveViolations(page)).toEqual([])

    await page.emulateMedia({ colorScheme: 'dark' })
    await page.screenshot({ path: `${SCREENSHOTS}${one.name}-dark.png` })
    expect(await graveViolations(page, ['color-contrast'])).toEqual([])

    await page.setViewportSize({ width: 900, height: 900 })
    // Charts follow a frame later.
    await expect.poll(() => overflow(page)).toBe(0)
    await page.screenshot({ path: `${SCREENSHOTS}${one.name}-dark-900.png` })
    await page.emulateMedia({ colorScheme: 'light' })
    await page.screenshot({ path: `${SCREENSHOTS}${one.name}-light-900.png` })
  })
})
