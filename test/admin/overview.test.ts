/** The overview is the Grafana dashboard in numbers: same rows, same panels, same order. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Overview } from '../../src/admin/api-types.ts'
import { type AdminLab, askApi, CHAT, call, sendEverything, startAdminLab } from './lab.fixture.ts'

interface DashboardPanel {
  readonly type: string
  readonly title: string
  readonly panels?: readonly DashboardPanel[]
}

/** They tell of other programs. */
const ELSEWHERE = ['Scrape targets', 'Trace collector']

const dashboard = JSON.parse(
  readFileSync(
    fileURLToPath(
      new URL('../../observability/grafana/provisioning/dashboards/agentgateway.json', import.meta.url),
    ),
    'utf8',
  ),
) as { readonly panels: readonly DashboardPanel[] }

function rowsOfDashboard() {
  const rows: { title: string; panels: { title: string; type: string }[] }[] = []
  for (const { type, title, panels = [] } of dashboard.panels) {
    if (type === 'row')
      rows.push({ title, panels: panels.map((one) => ({ title: one.title, type: one.type })) })
    else if (!ELSEWHERE.includes(title)) rows.at(-1)?.panels.push({ title, type })
  }
  return rows
}

let lab: AdminLab
beforeAll(async () => {
  lab = await startAdminLab()
})
afterAll(() => lab?.close())

/** Those who look within two seconds share what was computed for the first of them. */
const fresh = (check: (overview: Overview) => void | Promise<void>) =>
  vi.waitFor(async () => check(await lab.client.overview()), { timeout: 5000, interval: 200 })

test('it has no data before the first request, and every panel nonetheless', async () => {
  const empty = await lab.client.overview()
  expect(empty.hasData).toBe(false)
  expect(empty.rows.length).toBe(rowsOfDashboard().length)
  await call(lab, { path: CHAT, body: {} })
  await lab.gateway.recorded(1)
  await fresh(({ hasData }) => expect(hasData).toBe(true))
})

test("it has the dashboard's rows and panels in the dashboard's order", async () => {
  const { rows } = await lab.client.overview()
  expect(
    rows.map(({ title, panels }) => ({
      title,
      panels: panels.map((panel) => ({ title: panel.title, type: panel.type })),
    })),
  ).toEqual(rowsOfDashboard())
})

const RANGES = { '15m': 15, '1h': 60, '6h': 360, '24h': 1440, '7d': 10_080, '30d': 43_200 }

describe.each(Object.entries(RANGES))('%s', (range, minutes) => {
  let overview: Overview
  beforeAll(async () => {
    await lab.gateway.recorded(1)
    overview = await lab.client.overview(range)
  })

  test('it is as long as it says and holds the present', () => {
    const { from, to, stepMs } = overview
    const width = Date.parse(to) - Date.parse(from)
    expect(width).toBeGreaterThanOrEqual(minutes * 60_000)
    expect(width).toBeLessThanOrEqual(minutes * 60_000 + stepMs)
    expect(Date.parse(to)).toBeGreaterThan(Date.now() - 5000)
  })

  test('it has a point for each step, in every series', () => {
    const steps = (Date.parse(overview.to) - Date.parse(overview.from)) / overview.stepMs
    expect(Number.isInteger(steps)).toBe(true)
    const lengths = overview.rows.flatMap(({ panels }) =>
      panels.flatMap(({ title, series = [] }) => series.map(({ points }) => [title, points.length])),
    )
    expect(lengths.length).toBeGreaterThan(10)
    expect(lengths.filter(([, length]) => length !== steps)).toEqual([])
  })

  test('it counts the request of just now', () => {
    const panels = overview.rows.flatMap((row) => row.panels)
    const counted = panels.find(({ title }) => title === 'Requests by backend')?.series ?? []
    const sum = counted.flatMap(({ points }) => points).reduce<number>((all, point) => all + (point ?? 0), 0)
    expect((sum * overview.stepMs) / 1000).toBeCloseTo(1, 6)
  })
})

test('it shows an hour when nothing is asked for', async () => {
  const { body } = await askApi(lab.gateway.adminUrl, '/api/overview')
  const { from, to } = JSON.parse(body) as Overview
  expect(Date.parse(to) - Date.parse(from)).toBeGreaterThanOrEqual(3_600_000)
  expect(Date.parse(to) - Date.parse(from)).toBeLessThan(3_700_000)
})

test.each(['2h', '', '1H', '60m', '1h ', 'constructor', '__proto__'])(
  'it refuses the range "%s"',
  async (range) => {
    const { status, body } = await askApi(
      lab.gateway.adminUrl,
      `/api/overview?range=${encodeURIComponent(range)}`,
    )
    expect(status).toBe(400)
    expect(JSON.parse(body)).toEqual({ error: expect.stringMatching(/range.*15m.*30d/) })
  },
)

test('it tells of health: version, configuration, nothing dropped', async () => {
  const { rows } = await lab.client.overview()
  const panels = rows.flatMap((row) => row.panels)
  const valuesOf = (title: string) => panels.find((panel) => panel.title === title)?.values ?? []
  expect(valuesOf('Version').flatMap(({ label, value }) => [label, value])).toContain('0.0.0-test')
  expect(valuesOf('Series overflow').map(({ value }) => value)).toEqual([0])
  expect(valuesOf('Dropped telemetry').every(({ value }) => value === 0)).toBe(true)
  expect(valuesOf('Configuration')[0]?.tone).toBe('good')
})

test('it shows MCP targets and sessions as they are', async () => {
  await sendEverything(lab)
  await fresh(async ({ rows }) => {
    const panels = rows.flatMap((row) => row.panels)
    const valuesOf = (title: string) => panels.find((panel) => panel.title === title)?.values ?? []
    expect(JSON.stringify(valuesOf('MCP targets'))).toContain('tools')
    expect(valuesOf('MCP sessions').map(({ value }) => value)).toEqual([
      await lab.gateway.metric('agentgateway_mcp_sessions_active'),
    ])
  })
})
