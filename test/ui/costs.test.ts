import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Analytics } from '../../src/admin/api-types.ts'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

/** Lines of a file without quoted cells. */
function readCsv(text: string): readonly Readonly<Record<string, string>>[] {
  const [head = [], ...lines] = text
    .replace(/^\ufeff/, '')
    .trimEnd()
    .split('\r\n')
    .map((line) => line.split(','))
  return lines.map((cells) => Object.fromEntries(head.map((name, index) => [name, cells[index] ?? ''])))
}

describeInBrowser('Costs', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway()
    await demo.sendMix()
  })
  afterAll(() => demo?.close())

  test.each([
    { by: 'model', label: 'Model', group: { field: 'requestModel' } },
    { by: 'provider', label: 'Provider', group: { field: 'provider' } },
    { by: 'key', label: 'Key', group: { field: 'attributes', key: 'agentgateway.key' } },
    { by: 'operation', label: 'Operation', group: { field: 'operation' } },
  ])('the file by $by has the sums of the page and of the API', async ({ by, label, group }) => {
    const { page } = await browser.open(demo.ui('/costs'))
    await page.getByRole('button', { name: label, exact: true }).click()
    const table = page.locator(`section[aria-label="Costs by ${by}"]`)
    await table.locator('tbody tr').first().waitFor()
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      table.getByRole('button', { name: 'CSV' }).click(),
    ])
    expect(file.suggestedFilename()).toBe(`costs-by-${by}.csv`)
    const rows = readCsv(readFileSync(await file.path(), 'utf8'))

    const shown = await table
      .locator('tbody tr')
      .evaluateAll((all) =>
        all.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.title.replaceAll(',', ''))),
      )
    expect(
      rows.map(({ requests, input_tokens: input, output_tokens: output }) => [requests, input, output]),
    ).toEqual(shown.map(([requests, input, , output]) => [requests, input, output]))

    const { total, groups } = await demo.ask<Analytics>('/api/logs/analytics/summary', {
      groupBy: [group],
      bucketCount: 1,
    })
    const sum = (column: string) => rows.reduce((all, row) => all + Number(row[column]), 0)
    expect(rows.length).toBe(groups.length)
    expect(new Set(rows.map((row) => row[by]))).toEqual(
      new Set(groups.flatMap((one) => Object.values(one.group))),
    )
    expect(sum('requests')).toBe(total.requests)
    expect(sum('failed')).toBe(total.failed)
    expect(sum('input_tokens')).toBe(total.inputTokens)
    expect(sum('output_tokens')).toBe(total.outputTokens)
    expect(sum('cache_read_tokens')).toBe(total.cacheReadTokens)
    expect(sum('cache_write_tokens')).toBe(total.cacheWriteTokens)
    expect(sum('reasoning_tokens')).toBe(total.reasoningTokens)
    expect(sum('cost_usd')).toBeCloseTo(total.cost, 10)
    expect(sum('share')).toBeCloseTo(1, 10)
  })

  test('rows are sorted by the column that is chosen, and lead to their requests', async () => {
    const { page } = await browser.open(demo.ui('/costs'))
    const head = page.getByRole('columnheader', { name: 'Requests', exact: true })
    await head.getByRole('button').click()
    const first = page.locator('.group-name').first()
    await expect.poll(() => first.textContent()).toMatch(/^gpt-4o-mini/)
    await head.getByRole('button').click()
    expect(await head.getAttribute('aria-sort')).toBe('ascending')
    await page.getByRole('link', { name: 'claude-sonnet-5-5' }).click()
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1)
    expect(new URL(page.url()).search).toBe('?range=24h&model=claude-sonnet-5-5')
  })
})
