/** How long a scrape of many series keeps the event loop from everything else. */
import type { CellResult, Measure } from '../cell.ts'
import { now, sleep } from '../clock.ts'
import { connect } from '../connection.ts'
import { readProbe } from '../probe-client.ts'
import { jsonRequest } from '../requests.ts'
import { type Spread, spread } from '../statistics.ts'
import { number, spreadText } from '../table.ts'
import { listening, manyRoutes, type OwnTarget, spawnConfigured, startProvider } from '../targets.ts'

const SERIES = 5000
const SCRAPES = 20
const PAUSE_MS = 50
const WARM_UP_SCRAPES = 40
const MAX_ROUTES = 200
const LOOP_MS = 5

export const scrape: Measure = async (setup, settings) => {
  const provider = await startProvider(setup.stage)
  const routes = Array.from({ length: MAX_ROUTES }, (_, index) => `route-${index}`)
  const routing = manyRoutes(provider.port, routes)
  const gateway = await spawnConfigured(setup, routing, undefined, { probed: true })
  await listening(gateway)
  const used = await fill(gateway, routes)
  for (let count = 0; count < WARM_UP_SCRAPES; count++) await scrapeOnce(gateway)

  const loopMs: number[] = []
  const wholeMs: number[] = []
  for (let round = 1; round <= settings.rounds; round++) {
    const resting = await activeDuring(gateway, async () => {})
    const took: number[] = []
    const scraping = await activeDuring(gateway, async () => {
      const begun = now()
      await scrapeOnce(gateway)
      took.push(now() - begun)
    })
    loopMs.push((scraping - resting) / SCRAPES)
    wholeMs.push(...took)
    settings.progress(`round ${round}/${settings.rounds}: ${number(loopMs.at(-1), 2)} ms of the event loop`)
  }
  const text = await scrapeOnce(gateway)
  await gateway.proxy.stop()
  await provider.child.stop()
  const loop = spread(loopMs)
  const series = seriesIn(text)
  return {
    about: `${series} series of ${used} routes, ${Math.round(text.length / 1024)} KiB in OpenMetrics; nothing else to do`,
    table: { head: ['', 'ms'], rows: rowsOf(loop, spread(wholeMs)) },
    aims: [
      {
        what: `scrape of ${SERIES} series: time of the event loop`,
        bound: { atMost: LOOP_MS },
        unit: 'ms',
        value: loop,
      },
    ],
    dropped: [],
    invalid: [],
    figures: { series, loopMs, wholeMs },
  } satisfies CellResult
}

const rowsOf = (loop: Spread, whole: Spread) => [
  ['event loop busy, for each scrape', spreadText(loop, 2)],
  ['scrape as the scraper sees it', spreadText(whole, 2)],
]

/** One route after the other is asked, until there are enough series. Resolves with how many routes that took. */
async function fill(gateway: OwnTarget, routes: readonly string[]): Promise<number> {
  const connection = await connect(gateway.site)
  let used = 0
  for (const route of routes) {
    const status = await connection.request(jsonRequest({ ...gateway.site, route }))
    if (status !== 200) throw new Error(`${route} answers with status ${status}`)
    used++
    if (seriesIn(await scrapeOnce(gateway)) >= SERIES) break
  }
  connection.close()
  const found = seriesIn(await scrapeOnce(gateway))
  if (found < SERIES) throw new Error(`only ${found} series after ${used} routes`)
  return used
}

/** As Prometheus asks. */
const ACCEPT =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'

async function scrapeOnce({ statsPort }: OwnTarget): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${statsPort}/metrics`, { headers: { accept: ACCEPT } })
  return response.text()
}

const seriesIn = (text: string) => text.match(/^[^#\n]/gm)?.length ?? 0

/** Milliseconds for which the event loop was not waiting. */
async function activeDuring(gateway: OwnTarget, work: () => Promise<void>): Promise<number> {
  await readProbe(gateway)
  for (let count = 0; count < SCRAPES; count++) {
    await work()
    await sleep(PAUSE_MS)
  }
  return (await readProbe(gateway)).activeMs
}
