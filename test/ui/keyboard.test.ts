import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

const STOPS_AT_MOST = 60

/** What has the focus, and whether one sees it: a row shows its link's. */
const focused = (page: Page, selector: string) =>
  page.evaluate((wanted) => {
    const element = document.activeElement
    if (element === null || element === document.body) return undefined
    const outlined = [element, element.closest('tr')].some((one) => {
      if (one === null) return false
      const { outlineStyle, outlineWidth } = getComputedStyle(one)
      return outlineStyle !== 'none' && Number.parseFloat(outlineWidth) > 0
    })
    return { isWanted: element.matches(wanted), isSeen: outlined, html: element.outerHTML.slice(0, 120) }
  }, selector)

/** Presses Tab until it is there; each stop on the way must be seen. */
async function tabTo(page: Page, selector: string) {
  for (let stop = 0; stop < STOPS_AT_MOST; stop += 1) {
    await page.keyboard.press('Tab')
    const at = await focused(page, selector)
    if (at === undefined) continue
    expect(at).toMatchObject({ isSeen: true })
    if (at.isWanted) return
  }
  throw new Error(`Tab does not come to ${selector}`)
}

const hasFocus = (page: Page, selector: string) =>
  expect.poll(() => focused(page, selector)).toMatchObject({ isWanted: true })

describeInBrowser('the keyboard', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway()
    await demo.sendMix()
  })
  afterAll(() => demo?.close())

  async function open(path: string, content: string) {
    const { page } = await browser.open(demo.ui(path))
    await page.locator(content).first().waitFor()
    return page
  }

  test.each([
    {
      path: '/',
      content: '.panel',
      action: 'fieldset[aria-label="Time range"] button:last-child',
      leadsTo: '?range=30d',
    },
    { path: '/traces', content: '.row-link', action: '.row-link', leadsTo: '/traces/' },
    {
      path: '/costs',
      content: '.group-name',
      action: '.group-name a',
      leadsTo: '/requests?range=24h&model=',
    },
    { path: '/mcp', content: '.targets', action: '[aria-label^="Backend"] .push button', leadsTo: '?run=' },
    { path: '/clients', content: '.snippets', action: '.prose p a', leadsTo: '/requests?live=1' },
    {
      path: '/config',
      content: '.tree',
      action: '[aria-label="Routes"] tbody a',
      leadsTo: '/requests?route=',
    },
  ])('reaches what $path is for', async ({ path, content, action, leadsTo }) => {
    const page = await open(path, content)
    await tabTo(page, action)
    await page.keyboard.press('Enter')
    await expect.poll(() => page.url()).toContain(leadsTo)
  })

  test('skips the navigation', async () => {
    const page = await open('/requests', '.row-link')
    await page.keyboard.press('Tab')
    await hasFocus(page, '.skip-link')
    await page.keyboard.press('Enter')
    await hasFocus(page, 'main')
    expect(page.url()).toContain('/requests')
  })

  test('goes through requests, opens one and gives the focus back', async () => {
    const page = await open('/requests', '.row-link')
    await page.getByText('j k or ↑ ↓ move, Enter opens, Esc closes, / searches').waitFor()
    await tabTo(page, '.row-link')
    const rows = page.locator('.row-link')
    await page.keyboard.press('j')
    await page.keyboard.press('ArrowDown')
    const third = `[data-row="${await rows.nth(2).getAttribute('data-row')}"]`
    await hasFocus(page, third)
    await page.keyboard.press('Enter')
    const panel = page.locator('.split-side')
    await panel.locator('.facts').first().waitFor()

    // As well from within it.
    await panel.getByRole('button', { name: 'Close' }).focus()
    await page.keyboard.press('Escape')
    await panel.waitFor({ state: 'detached' })
    await hasFocus(page, third)
  })

  test('goes through spans, and gives the focus back from their details', async () => {
    const page = await open('/traces?model=gpt-5-mini', '.row-link')
    await tabTo(page, '.row-link')
    await page.keyboard.press('Enter')
    await page.locator('[data-span]').first().waitFor()
    await tabTo(page, '[data-span]')
    await page.keyboard.press('Home')
    await page.keyboard.press('ArrowDown')
    const second = `[data-span="${await page.locator('[data-span]').nth(1).getAttribute('data-span')}"]`
    await hasFocus(page, second)
    await page.keyboard.press('Enter')
    await expect.poll(() => page.locator(second).getAttribute('aria-selected')).toBe('true')
    await page.locator('.span-card').getByRole('button', { name: 'Close' }).focus()
    await page.keyboard.press('Escape')
    await page.locator('.span-card').waitFor({ state: 'detached' })
    await hasFocus(page, second)
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('ArrowLeft')
    await hasFocus(page, '[data-span]:first-child')
    await page.keyboard.press('ArrowLeft')
    await expect.poll(() => page.locator('[data-span]').count()).toBe(1)
  })

  test('closes what a button has opened with Escape, and is on the button again', async () => {
    const page = await open('/requests', '.row-link')
    await tabTo(page, '.pick > button')
    await page.keyboard.press('Enter')
    await hasFocus(page, '.pick-list input')
    await page.keyboard.press('Escape')
    await hasFocus(page, '.pick > button')
    expect(await page.locator('.pick-list:not([hidden])').count()).toBe(0)
  })

  test('asks a model', async () => {
    const page = await open('/playground?model=gpt-4o-mini', '.composer')
    await tabTo(page, '.composer textarea')
    await page.keyboard.type('Hello!')
    await tabTo(page, '.composer button')
    await page.keyboard.press('Enter')
    await page.locator('.turn-facts').waitFor()
  })

  test('explains a panel', async () => {
    const page = await open('/', '.panel')
    await tabTo(page, '.tip button')
    await expect.poll(() => page.locator('.tip:focus-within [role="tooltip"]').isVisible()).toBe(true)
  })
})
