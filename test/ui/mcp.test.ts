import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, demoText, startDemoGateway } from './gateway.ts'

const target = (page: Page, name: string) =>
  page.locator('.targets tbody tr', { has: page.getByRole('link', { name }) })
const result = (page: Page) => page.locator('section[aria-label="Result"]')

describeInBrowser('MCP', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    const away = '- {name: away, mcp: {host: "http://127.0.0.1:1/mcp"}}\n                    '
    demo = await startDemoGateway({
      config: (parts) =>
        demoText(parts)
          .replace('- mcp:\n', '- mcp:\n                  failureMode: failOpen\n')
          .replace('- {"name":"weather"', `${away}- {"name":"weather"`),
    })
  })
  afterAll(() => demo?.close())

  async function openRunner() {
    const { page } = await browser.open(demo.ui('/mcp'))
    await page.getByRole('button', { name: 'Run tools' }).click()
    await page.locator('.runner-call').waitFor()
    return page
  }
  async function choose(page: Page, tool: string) {
    await page.locator('.runner-list').getByRole('button', { name: tool }).click()
    await page.locator('.runner-call').getByRole('heading', { name: tool }).waitFor()
  }

  test('shows servers with their health, their tools and the sessions', async () => {
    const { page } = await browser.open(demo.ui('/mcp'))
    await page.getByText('0 sessions').waitFor()
    await page.getByRole('button', { name: 'Run tools' }).click()
    await page.getByText('1 session', { exact: true }).waitFor()
    expect(await target(page, 'weather').textContent()).toMatch(/up.*forecast, history, alerts/)
    expect(await target(page, 'notes').textContent()).toMatch(/up.*search/)
    expect(await target(page, 'away').textContent()).toMatch(/down.*ECONNREFUSED/)
    await page.getByText('1 target down').waitFor()
  })

  test('a tool is really called, and its call is a request like any other', async () => {
    const page = await openRunner()
    await choose(page, 'weather_forecast')
    await page.getByLabel('city').fill('Paris')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await result(page).waitFor()
    expect(await result(page).textContent()).toContain('Paris: 21 degrees')
    expect(await result(page).locator('.badge').textContent()).toBe('ok')

    const trace = result(page).getByRole('link', { name: 'Trace' })
    const record = await demo.recordOf((await trace.getAttribute('href'))?.split('/').at(-1) ?? '')
    expect(record.mcp).toMatchObject({ method: 'tools/call', target: 'weather', resource: 'forecast' })
    await trace.click()
    await page.locator('[data-span]', { hasText: 'tools/call' }).first().waitFor()
  })

  test('an error of a tool is shown as one', async () => {
    const page = await openRunner()
    await choose(page, 'weather_alerts')
    await page.getByLabel('city').fill('Paris')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await result(page).waitFor()
    expect(await result(page).locator('.badge').textContent()).toBe('isError')
    expect(await result(page).textContent()).toContain('The warning service does not answer.')
  })

  test('what is required is asked for, and JSON can be written instead', async () => {
    const page = await openRunner()
    await choose(page, 'notes_search')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByText('Required.').waitFor()
    expect(await result(page).count()).toBe(0)

    await page.getByRole('button', { name: 'JSON', exact: true }).click()
    const field = page.getByLabel('Arguments as JSON')
    await field.fill('{"word": ')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByText('Not a JSON object.').waitFor()
    await field.fill('{"word": "tides"}')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await result(page).waitFor()
    expect(await result(page).textContent()).toContain('notes+memo://tides')
  })

  test('the address has the tool, and leads to the calls of a server', async () => {
    const page = await openRunner()
    await choose(page, 'weather_history')
    await page.reload()
    await page.locator('.runner-call').getByRole('heading', { name: 'weather_history' }).waitFor()
    await target(page, 'weather').getByRole('link').click()
    await page.waitForURL(demo.ui('/requests?target=weather'))
    await page.locator('tbody tr', { hasText: 'tools/call forecast' }).first().waitFor()
  })
})
