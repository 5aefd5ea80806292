import { afterEach, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

/** The browser's own words for a connection that it cannot have. */
const NO_CONNECTION = { allowed: /ERR_(?:CONNECTION|EMPTY_RESPONSE|INCOMPLETE|SOCKET)/ }

describeInBrowser('a gateway that goes', () => {
  const browser = useBrowser()
  let running: DemoGateway[] = []

  afterEach(async () => {
    const all = running
    running = []
    await Promise.all(all.map((demo) => demo.close()))
  })

  async function start(port: number): Promise<DemoGateway> {
    const demo = await startDemoGateway({ environment: { ADMIN_ADDR: `127.0.0.1:${port}` } })
    running.push(demo)
    await (await demo.chat()).text()
    return demo
  }
  async function stop(demo: DemoGateway) {
    running = running.filter((one) => one !== demo)
    await demo.close()
  }

  test.each([
    { path: '/', content: '.panel' },
    { path: '/requests?live=1', content: 'tr .row-link' },
  ])('is missed at $path, and found again by itself', async ({ path, content }) => {
    const port = await freePort()
    const first = await start(port)
    const { page } = await browser.open(first.ui(path), NO_CONNECTION)
    await page.locator(content).first().waitFor()

    await stop(first)
    await page.locator('.banner', { hasText: 'The gateway does not answer' }).waitFor()
    await page.getByText('Does not answer', { exact: true }).waitFor()
    expect(await page.locator(content).first().isVisible()).toBe(true)

    await start(port)
    await page.locator('.banner').waitFor({ state: 'detached' })
    await expect.poll(() => page.getByRole('alert').count()).toBe(0)
    await page.locator(content).first().waitFor()
  })

  test('is said to be away where a page asks for something new, which can be tried again', async () => {
    const port = await freePort()
    const first = await start(port)
    const { page } = await browser.open(first.ui('/config'), NO_CONNECTION)
    await page.locator('.tree').waitFor()
    await stop(first)
    await page.getByRole('link', { name: 'Costs' }).click()
    await page.getByRole('heading', { name: 'The costs cannot be shown' }).waitFor()
    await start(port)
    const again = page
      .locator('.notice', { hasText: 'The costs cannot be shown' })
      .getByRole('button', { name: 'Try again' })
    await again.click()
    await page.locator('.group-name').first().waitFor()
  })
})
