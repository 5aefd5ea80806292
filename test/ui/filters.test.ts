import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MIX } from '../../src/demo/traffic-mix.ts'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

const query = (page: Page) => new URL(page.url()).search
const rows = (page: Page) => page.locator('tbody tr')

async function choose(page: Page, filter: string, value: string) {
  await page.getByRole('button', { name: filter, exact: true }).click()
  await page.getByRole('checkbox', { name: value, exact: true }).check()
  await page.keyboard.press('Escape')
}

describeInBrowser('filters', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway()
    await demo.sendMix()
  })
  afterAll(() => demo?.close())

  async function openList(path: string) {
    const { page } = await browser.open(demo.ui(path))
    await expect.poll(() => rows(page).count()).toBeGreaterThan(0)
    return page
  }

  test('are in the address: it can be shared, and back takes them away', async () => {
    const page = await openList('/requests')
    expect(await rows(page).count()).toBe(MIX.length)
    await choose(page, 'Provider', 'anthropic')
    expect(query(page)).toBe('?provider=anthropic')
    await expect.poll(() => rows(page).count()).toBe(demo.anthropic.totals.calls)
    expect(await rows(page).filter({ hasText: 'claude-' }).count()).toBe(demo.anthropic.totals.calls)

    await page.getByRole('button', { name: 'Failed only' }).click()
    await expect.poll(() => rows(page).count()).toBe(2)
    expect(query(page)).toBe('?provider=anthropic&failed=1')

    await page.reload()
    await expect.poll(() => rows(page).count()).toBe(2)
    await page.goBack()
    await expect.poll(() => rows(page).count()).toBe(demo.anthropic.totals.calls)
    await page.goBack()
    await expect.poll(() => rows(page).count()).toBe(MIX.length)
    expect(query(page)).toBe('')
  })

  test.each([
    { name: 'two models', path: '/requests?model=gpt-4.1&model=o4-mini', count: 2 },
    { name: 'a status', path: '/requests?status=429', count: 1 },
    { name: 'an outcome', path: '/requests?outcome=client_abort', count: 2 },
    { name: 'a kind of error', path: '/requests?error=provider_overloaded', count: 1 },
    { name: 'an MCP target', path: '/requests?target=notes', count: 3 },
    { name: 'a user agent', path: '/requests?agent=agentgateway-demo', count: MIX.length },
    { name: 'a part of an error', path: '/requests?q=ECONNRESET', count: 1 },
    { name: 'traces of a model', path: '/traces?model=gpt-5-mini', count: 1 },
    { name: 'traces that failed', path: '/traces?failed=1&operation=tools%2Fcall%20alerts', count: 1 },
  ])('find $name', async ({ path, count }) => {
    const page = await openList(path)
    await expect.poll(() => rows(page).count()).toBe(count)
  })

  test('by text follow what is typed', async () => {
    const page = await openList('/requests')
    await page.keyboard.press('/')
    await page.keyboard.type('gpt-5-mini')
    await expect.poll(() => rows(page).count()).toBe(1)
    expect(query(page)).toBe('?q=gpt-5-mini')
  })

  test('by duration', async () => {
    const page = await openList('/requests')
    await page.getByRole('button', { name: 'Duration', exact: true }).click()
    await page.getByLabel('At least, ms').fill('350')
    await page.keyboard.press('Enter')
    await expect.poll(() => query(page)).toBe('?min=350')
    const durations = rows(page).filter({ hasText: 'tools/call history' })
    await expect.poll(() => rows(page).count()).toBeLessThan(MIX.length)
    expect(await durations.count()).toBe(1)
  })

  test('that nothing fits can be cleared', async () => {
    const { page } = await browser.open(demo.ui('/requests?status=200&q=nowhere-at-all'))
    await page.getByRole('heading', { name: 'No request fits' }).waitFor()
    await page.locator('.empty').getByRole('button', { name: 'Clear filters' }).click()
    await expect.poll(() => rows(page).count()).toBe(MIX.length)
    expect(query(page)).toBe('')
  })

  test('a chosen time is in the address, too', async () => {
    const page = await openList('/requests')
    await page.getByRole('button', { name: '24 h', exact: true }).click()
    expect(query(page)).toBe('?range=24h')
    await page.getByRole('button', { name: 'Custom' }).click()
    await page.getByLabel('From (local time)').fill('2020-01-01T00:00:00')
    await page.getByLabel('To', { exact: true }).fill('2020-01-02T00:00:00')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByRole('heading', { name: 'No request in this time' }).waitFor()
    expect(query(page)).toMatch(/^\?from=20\d\d-\d\d-\d\dT.*&to=20/)
  })
})
