import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'
import { PAGES } from './pages.ts'

const OF_REQUESTS = ['/', '/requests', '/traces', '/costs', '/traces/4bf92f3577b34da6a3ce929d0e0e4736']

describeInBrowser('a gateway that keeps nothing', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway({ databaseUrl: 'off' })
    await (await demo.chat()).text()
  })
  afterAll(() => demo?.close())

  test.each(OF_REQUESTS)('says so at %s, and how to change it', async (path) => {
    const { page } = await browser.open(demo.ui(path))
    await page.getByRole('heading', { name: 'Requests are not kept' }).waitFor()
    expect(await page.locator('pre').textContent()).toContain('url: sqlite:')
    await page.getByRole('link', { name: 'What it runs with' }).click()
    await page.getByText('Nothing is kept: Requests, Traces and Costs stay empty.').waitFor()
  })

  test.each(PAGES.filter(({ path }) => !OF_REQUESTS.includes(path)))(
    'has its page $title',
    async ({ path, content }) => {
      const { page } = await browser.open(demo.ui(path))
      await page.locator(content).first().waitFor()
    },
  )

  test('its playground tells what the answer itself says', async () => {
    const { page } = await browser.open(demo.ui('/playground?model=gpt-4o-mini'))
    await page.getByLabel('Your message').fill('Hello!')
    await page.getByLabel('Your message').press('Enter')
    await page.getByText('tokens/s').waitFor()
    expect(await page.locator('.turn-facts').textContent()).toMatch(/tokens \d+ → \d+/)
  })
})
