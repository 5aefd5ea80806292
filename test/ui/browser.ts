/**
 * A browser, and pages of it that remember everything that a reader would call broken: errors in the console, requests
 * that failed or went to somebody else, breaches of the content security policy.
 */
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import { chromiumPath, hasChromium } from './chromium.ts'

export interface WatchedPage {
  readonly page: Page
  readonly context: BrowserContext
  /** In words; empty when nothing went wrong. */
  readonly problems: string[]
  /** Bodies of every answer of the API that the page got, streams left out. */
  readonly answers: { readonly url: string; readonly text: string }[]
}

export interface OpenOptions extends BrowserContextOptions {
  /** Problems that are the test's own doing. */
  readonly allowed?: RegExp
}

/** Shorter than a test may take, so that its failure says what was waited for. */
const LONGEST_WAIT_MS = 15_000

/** Words that a program writes where it should have said something. */
const NO_WORDS = /\b(?:NaN|undefined|null|Infinity)\b|\[object \w+\]/

export interface TestBrowser {
  /** A page of its own, with its own cookies and storage; closed after the test, which must have had no problem. */
  readonly open: (url: string, options?: OpenOptions) => Promise<WatchedPage>
}

/** To be called in a `describe`, which is skipped where there is no browser. */
export function useBrowser(): TestBrowser {
  let browser: Browser | undefined
  let opened: { readonly watched: WatchedPage; readonly allowed: RegExp | undefined }[] = []

  beforeAll(async () => {
    if (chromiumPath === undefined) return
    browser = await chromium.launch({
      executablePath: chromiumPath,
      // The sandbox does not start for root, which is whom tests run as in many a container.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    })
  })
  afterEach(async () => {
    const all = opened
    opened = []
    for (const { watched, allowed } of all) {
      const texts = await Promise.all(watched.context.pages().map(textOf))
      await watched.context.close()
      const problems = watched.problems.filter((problem) => allowed?.test(problem) !== true)
      expect(problems).toEqual([])
      expect(texts.flatMap((text) => NO_WORDS.exec(text) ?? [])).toEqual([])
    }
  })
  afterAll(() => browser?.close())

  return {
    async open(url, { allowed, ...options } = {}) {
      if (browser === undefined) throw new Error('the browser has not started')
      const context = await browser.newContext({
        viewport: { width: 1440, height: 900 },
        colorScheme: 'light',
        ...options,
      })
      context.setDefaultTimeout(LONGEST_WAIT_MS)
      const watched: WatchedPage = { context, page: await context.newPage(), problems: [], answers: [] }
      opened.push({ watched, allowed })
      watch(watched, new URL(url).origin)
      await watched.page.goto(url)
      return watched
    },
  }
}

/** What a program holds may say `null`: the trees of JSON and the texts of others are left out. */
async function textOf(page: Page): Promise<string> {
  return page.evaluate(() => {
    const copy = document.body.cloneNode(true) as HTMLElement
    for (const element of copy.querySelectorAll('.tree, pre, script, .turn-text')) element.remove()
    return copy.textContent ?? ''
  })
}

function watch({ context, problems, answers }: WatchedPage, origin: string): void {
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(`console: ${message.text()}`)
  })
  context.on('weberror', (error) => void problems.push(`thrown: ${error.error().message}`))
  context.on('request', (request) => {
    const url = new URL(request.url())
    const isOwn = url.origin === origin || ['data:', 'blob:'].includes(url.protocol)
    if (!isOwn) problems.push(`to another origin: ${request.url()}`)
  })
  context.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? ''
    // What a page does not want any more, it gives up.
    if (why !== 'net::ERR_ABORTED') problems.push(`failed: ${request.method()} ${request.url()} ${why}`)
  })
  context.on('response', async (response) => {
    const { pathname } = new URL(response.url())
    if (response.status() >= 400) problems.push(`status ${response.status()}: ${pathname}`)
    if (!pathname.startsWith('/api/') || response.headers()['content-type']?.startsWith('text/event-stream'))
      return
    const text = await response.text().catch(() => undefined)
    if (text !== undefined) answers.push({ url: response.url(), text })
  })
}

/** `describe` where there is a browser. */
export const describeInBrowser = describe.skipIf(!hasChromium)
