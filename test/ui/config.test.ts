import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Command, endCommands, ready, says, startCommand } from '../support/command.ts'
import { gatewayWith, openAIBackend, under } from '../support/configuration.ts'
import { describeInBrowser, useBrowser } from './browser.ts'
import { PAGES } from './pages.ts'

/** Where a configuration may hold secrets. Shaped like no vendor's keys: no pattern may be what hides them. */
const SECRETS = {
  backend: 'canary-4Kd9backend',
  header: 'canary-6Mt3header',
  matched: 'canary-9Pd1matched',
  server: 'canary-2Jq7server',
  variable: 'canary-8Rb2variable',
  collector: 'canary-9Wz5collector',
}

const NOWHERE = { port: 1 }
const TOOLS = {
  mcp: {
    targets: [
      {
        name: 'far',
        mcp: { host: 'http://127.0.0.1:1/mcp' },
        policies: { backendAuth: { key: SECRETS.server } },
      },
      { name: 'near', stdio: { cmd: 'false', env: { API_KEY: SECRETS.variable } } },
    ],
  },
}

const configuration = (routeName: string) =>
  gatewayWith(
    [
      {
        name: routeName,
        matches: under('/v1'),
        policies: { timeout: { requestTimeout: '10s' } },
        backends: [openAIBackend(NOWHERE, { backendAuth: { key: SECRETS.backend } })],
      },
      {
        name: 'matched',
        matches: [
          {
            path: { pathPrefix: '/plain' },
            headers: [{ name: 'x-api-key', value: { exact: SECRETS.matched } }],
          },
        ],
        policies: { requestHeaderModifier: { set: { authorization: `Bearer ${SECRETS.header}` } } },
        backends: [{ host: '127.0.0.1:1' }],
      },
      { name: 'tools', matches: under('/mcp'), backends: [TOOLS] },
    ],
    {
      config: {
        database: { url: 'sqlite::memory:' },
        tracing: {
          otlpEndpoint: 'http://127.0.0.1:1',
          otlpProtocol: 'http',
          headers: { 'x-collector': SECRETS.collector },
        },
      },
    },
  )

describeInBrowser('Configuration', () => {
  const browser = useBrowser()
  const directory = mkdtempSync(join(tmpdir(), 'agentgateway-ui-config-'))
  const file = join(directory, 'config.yaml')
  let command: Command
  let ui: string

  /** As editors do it: a new file takes the old one's name. */
  function replace(content: string) {
    writeFileSync(`${file}.new`, content)
    renameSync(`${file}.new`, file)
  }
  const told = (text: string) => command.line(() => command.lines().some(says(text)))

  beforeAll(async () => {
    replace(configuration('first'))
    command = startCommand(['-f', file])
    ui = `${(await ready(command)).adminUrl}/ui`
  })
  afterAll(() => {
    endCommands()
    rmSync(directory, { recursive: true })
  })

  test('no page shows a secret, and no answer has one', async () => {
    for (const { path, title } of PAGES) {
      const { page, answers } = await browser.open(`${ui}${path}`)
      await page.getByRole('heading', { name: title, level: 1 }).waitFor()
      await page.waitForLoadState('networkidle')
      const said = [await page.content(), ...answers.map(({ text }) => text)].join('\n')
      for (const secret of Object.values(SECRETS)) expect(said).not.toContain(secret)
    }
  })

  test('it shows what runs: process, ports, store, tracing, routes', async () => {
    const { page } = await browser.open(`${ui}/config`)
    const routes = page.locator('section[aria-label="Routes"] tbody tr')
    await expect.poll(() => routes.count()).toBe(3)
    const cells = await routes.evaluateAll((rows) =>
      rows.map((row) => [...row.children].slice(3).map((cell) => cell.textContent?.trim())),
    )
    expect(cells).toEqual([
      ['default/first', '/v1/*', 'openai openai', 'timeout'],
      [
        'default/matched',
        '/plain/*, header x-api-key: <redacted>',
        '127.0.0.1:1 http',
        'requestHeaderModifier',
      ],
      ['default/tools', '/mcp/*', expect.stringMatching(/ mcp$/), '–'],
    ])
    const card = (name: string) => page.locator(`section[aria-label="${name}"]`).textContent()
    expect(await card('Store of requests')).toContain('sqlite::memory:')
    expect(await card('Tracing')).toContain('http://127.0.0.1:1')
    expect(await card('Process')).toMatch(/Node\.js2\d\./)
    expect(await card('Ports')).toContain('/metrics')
  })

  test('what is in force can be searched', async () => {
    const { page } = await browser.open(`${ui}/config`)
    await page.getByLabel('Find in effective configuration').fill('backendAuth')
    const tree = page.locator('.tree')
    await expect.poll(() => tree.getByText('backendAuth', { exact: true }).count()).toBe(2)
    expect(await tree.textContent()).toContain('<redacted>')
    expect(await tree.textContent()).not.toContain('pathPrefix')
    await page.getByLabel('Find in effective configuration').fill('no such thing')
    await tree.getByText('Nothing with this text.').waitFor()
  })

  test('it tells of reloads: one that was taken over, one that was refused and why, and the repair', async () => {
    const { page } = await browser.open(`${ui}/config`)
    const history = page.locator('.reloads > li')
    await page.getByText('The configuration was not reloaded since the start.').waitFor()

    replace(configuration('second'))
    await told('configuration reloaded')
    await page.reload()
    await page.getByRole('link', { name: 'default/second' }).waitFor()
    expect(await history.first().textContent()).toContain('Taken over')

    replace('binds:\n- port: 0\n  listenrs: []\n')
    await told('not valid')
    await page.reload()
    await page.getByRole('heading', { name: 'The file differs from what runs' }).waitFor()
    const refused = history.first()
    expect(await refused.textContent()).toContain('Refused')
    expect(await refused.textContent()).toContain('did you mean `listeners`?')
    expect(await refused.textContent()).toContain(`${file}:3:3`)
    expect(await page.getByRole('alert').textContent()).toContain('did you mean `listeners`?')
    await page.getByRole('link', { name: 'default/second' }).waitFor()

    replace(configuration('third'))
    await command.line(() => command.lines().filter(says('configuration reloaded')).length === 2)
    await page.reload()
    await page.getByRole('link', { name: 'default/third' }).waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
    expect(await history.count()).toBe(3)
  })
})
