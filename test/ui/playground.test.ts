import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, type OpenOptions, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

const message = (page: Page) => page.getByLabel('Your message')
const answer = (page: Page) => page.locator('.turn:not(.user)').last()
const titleOf = (page: Page, fact: string) =>
  answer(page)
    .locator('.turn-facts > span', { has: page.getByText(fact, { exact: true }) })
    .getAttribute('title')

async function ask(page: Page, question: string) {
  await message(page).fill(question)
  await message(page).press('Enter')
}

/** The record that the answer links to. */
async function recordOf(demo: DemoGateway, page: Page) {
  const link = answer(page).getByRole('link', { name: 'Trace' })
  await answer(page).getByRole('link', { name: 'Request' }).waitFor()
  return demo.recordOf((await link.getAttribute('href'))?.split('/').at(-1) ?? '')
}

describeInBrowser('the playground', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway()
  })
  afterAll(() => demo?.close())

  const providerOf = (model: string) => (model.startsWith('claude') ? demo.anthropic : demo.openAI)
  async function openChat(options: OpenOptions & { readonly model?: string; readonly api?: string } = {}) {
    const { model = 'gpt-4o-mini', api = 'Chat completions', ...rest } = options
    const { page } = await browser.open(demo.ui('/playground'), rest)
    await page.getByRole('button', { name: api, exact: true }).click()
    await page.getByLabel('Model').fill(model)
    return page
  }

  test.each([
    { api: 'Chat completions', model: 'gpt-4o-mini', path: '/v1/chat/completions' },
    { api: 'Messages', model: 'claude-haiku-4-5', path: '/v1/messages' },
  ])('$api: shows the text as it comes, and what its record says', async ({ api, model, path }) => {
    const page = await openChat({ api, model })
    providerOf(model).next({
      text: 'One two three four five six.',
      chunks: 6,
      chunkDelayMs: 80,
      firstDelayMs: 60,
    })
    await ask(page, 'Count!')
    const text = answer(page).locator('.turn-text')
    await text.waitFor()
    expect((await text.textContent())?.length).toBeLessThan(28)
    await expect.poll(() => text.textContent()).toBe('One two three four five six.')

    const record = await recordOf(demo, page)
    expect([record.path, record.genAi?.requestModel, record.streaming]).toEqual([path, model, true])
    const facts = await answer(page).locator('.turn-facts').textContent()
    expect(facts).toContain(`tokens ${record.usage?.inputTokens} → ${record.usage?.outputTokens}`)
    expect(record.usage?.outputTokens).toBe(providerOf(model).calls.at(-1)?.outputTokens)
    expect(await titleOf(page, 'cost')).toBe(`$${record.cost?.toFixed(12).replace(/0+$/, '')}`)
    expect(await titleOf(page, 'first token')).toMatch(
      new RegExp(`^${record.firstTokenMs} ms, \\d+ ms in this browser$`),
    )
    expect(await titleOf(page, 'in all')).toMatch(new RegExp(`^${record.durationMs} ms, `))

    await answer(page).getByRole('link', { name: 'Trace' }).click()
    await page.waitForURL(demo.ui(`/traces/${record.traceId}`))
    await page.locator('[data-span]', { hasText: `chat ${model}` }).waitFor()
    await page.goBack()
    expect(await text.textContent()).toBe('One two three four five six.')
    expect(new URL(page.url()).searchParams.get('model')).toBe(model)
  })

  test('an answer can be stopped, and the provider is told', async () => {
    const page = await openChat()
    demo.openAI.next({ chunks: 400, chunkDelayMs: 40 })
    await ask(page, 'Tell me a long story.')
    await answer(page).locator('.turn-text').waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    await answer(page).getByText('Stopped.').waitFor()
    await demo.openAI.waitFor((calls) => calls.at(-1)?.aborted === true)

    const record = await recordOf(demo, page)
    expect(record.outcome).toBe('client_abort')
    const facts = await answer(page).locator('.turn-facts').textContent()
    expect(facts).toContain(`tokens ${record.usage?.inputTokens} → ${record.usage?.outputTokens}`)
    await page.getByRole('button', { name: 'Send' }).waitFor()
  })

  test.each([
    { api: 'Chat completions', model: 'gpt-4o-mini', status: 429, says: 'Rate limit reached' },
    { api: 'Messages', model: 'claude-haiku-4-5', status: 529, says: 'Overloaded' },
  ])('$api: an error of the provider is shown as it is', async ({ api, model, status, says }) => {
    const page = await openChat({ api, model, allowed: new RegExp(`${status}`) })
    providerOf(model).next({ status })
    await ask(page, 'Hello!')
    await answer(page)
      .getByRole('heading', { name: `The API answered ${status}` })
      .waitFor()
    expect(await answer(page).locator('pre').textContent()).toContain(says)
    const record = await recordOf(demo, page)
    expect(record.httpStatus).toBe(status)
  })

  test('an error in the middle of a stream is shown below what came before', async () => {
    const page = await openChat()
    demo.openAI.next({ text: 'This much was said.', chunks: 4, fault: 'midstream-error', afterChunks: 2 })
    await ask(page, 'Hello!')
    await answer(page).getByRole('alert').waitFor()
    expect(await answer(page).locator('.turn-text').textContent()).toMatch(/^This/)
    expect(await answer(page).locator('pre').textContent()).toContain('The server had an error')
    expect((await recordOf(demo, page)).outcome).toBe('upstream_midstream_error')
  })

  test('what was said is sent along, with the settings', async () => {
    const page = await openChat()
    await page.getByLabel('System prompt').fill('Be short.')
    await page.getByLabel('Temperature').fill('0.5')
    await page.getByLabel('Max tokens').fill('64')
    await page.getByLabel('Stream the answer').uncheck()
    demo.openAI.next({ text: 'First.' })
    await ask(page, 'One?')
    await answer(page).getByText('First.').waitFor()
    demo.openAI.next({ text: 'Second.' })
    await ask(page, 'Two?')
    await answer(page).getByText('Second.').waitFor()
    expect(JSON.parse(demo.openAI.calls.at(-1)?.body ?? '')).toEqual({
      model: 'gpt-4o-mini',
      temperature: 0.5,
      max_completion_tokens: 64,
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'One?' },
        { role: 'assistant', content: 'First.' },
        { role: 'user', content: 'Two?' },
      ],
    })
    await page.getByRole('button', { name: 'New conversation' }).click()
    await page.getByRole('heading', { name: 'Ask a model something' }).waitFor()
  })

  test('models are offered, and one is taken by a click', async () => {
    const { page } = await browser.open(demo.ui('/playground'))
    const offered = page.locator('.suggestions button')
    await offered.first().waitFor()
    const name = (await offered.first().textContent()) ?? ''
    await offered.first().click()
    expect(await page.getByLabel('Model').inputValue()).toBe(name)
    expect(new URL(page.url()).searchParams.get('model')).toBe(name)
  })
})
