import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

const TOKEN = 'a-token-for-tests-0123456789'
const REFUSED = { allowed: /401/ }

async function signIn(page: Page, token: string) {
  await page.getByLabel('Token').fill(token)
  await page.getByLabel('Token').press('Enter')
}

describeInBrowser('a console that is open to other machines', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway({ environment: { ADMIN_ADDR: '0.0.0.0:0', ADMIN_TOKEN: TOKEN } })
    await (await demo.chat()).text()
  })
  afterAll(() => demo?.close())

  const askedFor = (page: Page) => page.getByRole('heading', { name: 'Sign in to AgentGateway' }).waitFor()

  test('asks for its token before it says anything', async () => {
    const { page, answers } = await browser.open(demo.ui('/requests'))
    await askedFor(page)
    expect(await page.title()).toBe('Sign in · AgentGateway')
    expect(await page.getByRole('navigation').count()).toBe(0)
    expect(answers.map(({ url }) => new URL(url).pathname)).toEqual(['/api/session'])
  })

  test('says that a token is wrong, and takes the right one', async () => {
    const { page, context } = await browser.open(demo.ui('/requests?model=gpt-4o-mini'), REFUSED)
    await signIn(page, 'not-the-token-of-this-gateway')
    await page.getByRole('alert').filter({ hasText: 'This is not the token of this gateway.' }).waitFor()
    await signIn(page, TOKEN)
    await page.locator('tr .row-link').waitFor()
    expect(page.url()).toBe(demo.ui('/requests?model=gpt-4o-mini'))

    const [cookie] = await context.cookies()
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' })
    expect(cookie?.value).not.toContain(TOKEN)
    const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie]))
    expect(kept).not.toContain(TOKEN)

    await page.reload()
    await page.locator('tr .row-link').waitFor()
  })

  test('asks again once the session has ended, and goes on where it was', async () => {
    const { page, context } = await browser.open(demo.ui('/requests'), REFUSED)
    await signIn(page, TOKEN)
    await page.locator('tr .row-link').waitFor()
    await context.clearCookies()
    await page.getByRole('button', { name: 'Search again' }).click()
    await askedFor(page)
    await signIn(page, TOKEN)
    await page.locator('tr .row-link').waitFor()
    expect(page.url()).toBe(demo.ui('/requests'))
  })

  test('signs out', async () => {
    const { page } = await browser.open(demo.ui('/'), REFUSED)
    await signIn(page, TOKEN)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await askedFor(page)
    await page.reload()
    await askedFor(page)
  })
})
