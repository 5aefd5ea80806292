import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Counts, readCounts } from '../../src/cli/demo-audit.ts'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

/** The exact number out of a tooltip: `$0.0042`, `1,234 tokens`. */
const numberIn = (text: string) => Number(text.replaceAll(/[^0-9.]/g, ''))
const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0)

const stat = async (page: Page, title: string) => {
  const value = page.locator('.panel.stat', { has: page.getByRole('heading', { name: title }) })
  return numberIn((await value.locator('.stat-value').getAttribute('title')) ?? '')
}

const gauge = async (page: Page, title: string) => {
  const panel = page.locator('.panel.bargauge', { has: page.getByRole('heading', { name: title }) })
  const more = panel.getByRole('button', { name: /^Show \d+ more$/ })
  if (await more.isVisible()) await more.click()
  return sum((await panel.locator('.gauge .number').allTextContents()).map(numberIn))
}

const tile = async (page: Page, name: string) => {
  const value = page.locator('.tiles > div', { has: page.getByText(name, { exact: true }) })
  return numberIn((await value.locator('dd').getAttribute('title')) ?? '')
}

describeInBrowser('the numbers of the known mix', () => {
  const browser = useBrowser()
  let demo: DemoGateway
  let counted: Counts

  beforeAll(async () => {
    demo = await startDemoGateway()
    await demo.sendMix()
    for (const provider of [demo.openAI, demo.anthropic])
      await provider.waitFor(() => provider.inFlight === 0)
    counted = await readCounts(demo.metricsUrl)
  })
  afterAll(() => demo?.close())

  const billed = (part: 'inputTokens' | 'outputTokens' | 'cacheReadTokens') =>
    demo.openAI.totals[part] + demo.anthropic.totals[part]

  test('/metrics has what the providers billed', () => {
    expect(counted.requests).toBe(52)
    expect(counted.cost).toBeGreaterThan(0)
    expect(counted.input).toBe(billed('inputTokens'))
    expect(counted.output).toBe(billed('outputTokens'))
    expect(counted.cacheRead).toBe(billed('cacheReadTokens'))
  })

  test('Overview has them', async () => {
    const { page } = await browser.open(demo.ui('/'))
    await page.getByRole('heading', { name: 'Tokens used' }).waitFor()
    expect(await stat(page, 'Total requests')).toBe(counted.requests)
    expect(await stat(page, 'Tokens used')).toBe(billed('inputTokens') + billed('outputTokens'))
    expect(await stat(page, 'Total cost')).toBeCloseTo(counted.cost, 10)
    expect(await gauge(page, 'Token usage by model')).toBe(billed('inputTokens') + billed('outputTokens'))
    expect(await gauge(page, 'Most called tools')).toBe(counted.toolCalls)
    expect(await gauge(page, 'Errors by type')).toBe(counted.errors)
  })

  test('Overview shows the last 15 minutes of a gateway that is younger', async () => {
    const { page } = await browser.open(demo.ui('/'))
    await page.locator('.panel').first().waitFor()
    const ranges = page.getByRole('group', { name: 'Time range' })
    await expect.poll(() => ranges.locator('[aria-pressed="true"]').textContent()).toBe('15 min')
  })

  test('Costs has them, in its tiles and in its rows', async () => {
    const { page } = await browser.open(demo.ui('/costs'))
    await page.locator('.group-name').first().waitFor()
    expect(await tile(page, 'Requests')).toBe(counted.requests)
    expect(await tile(page, 'Tokens in')).toBe(billed('inputTokens'))
    expect(await tile(page, 'Tokens out')).toBe(billed('outputTokens'))
    expect(await tile(page, 'Cached input')).toBe(billed('cacheReadTokens'))
    expect(await tile(page, 'Cost')).toBeCloseTo(counted.cost, 10)

    const column = async (index: number) => {
      const cells = page.locator(`section[aria-label="Costs by model"] tbody td:nth-of-type(${index})`)
      return sum(
        (await cells.evaluateAll((all) => all.map((cell) => cell.getAttribute('title') ?? ''))).map(numberIn),
      )
    }
    expect(await column(1)).toBe(counted.requests)
    expect(await column(2)).toBe(billed('inputTokens'))
    expect(await column(3)).toBe(billed('cacheReadTokens'))
    expect(await column(4)).toBe(billed('outputTokens'))
    expect(await column(5)).toBeCloseTo(counted.cost, 10)
    expect(await column(7)).toBeCloseTo(1, 10)
  })

  test('Requests has each of them once, and none of its numbers is cut', async () => {
    const { page } = await browser.open(demo.ui('/requests'))
    await page.locator('tr .row-link').first().waitFor()
    const titles = (column: string) =>
      page
        .locator(`tbody ${column}`)
        .evaluateAll((cells) => cells.map((cell) => cell.getAttribute('title') ?? ''))
    const tokens = (await titles('.tokens')).map((text) => /^([\d,]+) in, ([\d,]+) out$/.exec(text))
    const costs = (await titles('td')).filter((text) => text.startsWith('$')).map(numberIn)
    expect(await page.locator('tbody tr').count()).toBe(counted.requests)
    expect(sum(tokens.map((found) => numberIn(found?.[1] ?? '')))).toBe(billed('inputTokens'))
    expect(sum(tokens.map((found) => numberIn(found?.[2] ?? '')))).toBe(billed('outputTokens'))
    expect(sum(costs)).toBeCloseTo(counted.cost, 10)

    for (const width of [1440, 900]) {
      await page.setViewportSize({ width, height: 900 })
      const cut = await page
        .locator('tbody td.number')
        .evaluateAll((cells) =>
          cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent),
        )
      expect(cut).toEqual([])
    }
  })
})
