import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

const COMMAND = 'curl http://127.0.0.1:PORT/v1/chat/completions'

describeInBrowser('a gateway without a request', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway({ config: () => 'binds: [{port: 0, listeners: [{routes: []}]}]' })
  })
  afterAll(() => demo?.close())

  test.each([
    { path: '/', title: 'No request has come yet', next: COMMAND },
    { path: '/requests', title: 'No request in this time', next: COMMAND },
    { path: '/requests?live=1', title: 'No request in this time', next: COMMAND },
    { path: '/traces', title: 'No trace in this time', next: COMMAND },
    { path: '/costs', title: 'No request in this time', next: COMMAND },
    { path: '/mcp', title: 'No MCP server is configured', next: 'targets:' },
    { path: '/playground', title: 'Ask a model something', next: 'goes through the gateway' },
    { path: '/config', title: 'Routes', next: 'No route is configured: every request is answered with 404.' },
    { path: '/clients', title: 'SDKs', next: 'http://127.0.0.1:PORT/v1' },
  ])('says at $path what to do next', async ({ path, title, next }) => {
    const { page } = await browser.open(demo.ui(path))
    await page.getByRole('heading', { name: title, exact: true }).waitFor()
    expect(await page.locator('main').textContent()).toContain(next.replace('PORT', String(demo.port)))
    expect(await page.locator('canvas').count()).toBe(0)
    expect(await page.locator('.skeleton').count()).toBe(0)
  })

  test('the overview fills by itself once one has come', async () => {
    const { page } = await browser.open(demo.ui('/'))
    await page.getByRole('heading', { name: 'No request has come yet' }).waitFor()
    await (await demo.chat()).text()
    await page.getByRole('heading', { name: 'Total requests' }).waitFor()
  })
})
