import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, useBrowser } from './browser.ts'
import { type DemoGateway, startDemoGateway } from './gateway.ts'

const run = promisify(execFile)

describeInBrowser('Client set-up', () => {
  const browser = useBrowser()
  let demo: DemoGateway

  beforeAll(async () => {
    demo = await startDemoGateway()
  })
  afterAll(() => demo?.close())

  async function copied(section: string, card: string, block: string): Promise<string> {
    const { page } = await browser.open(demo.ui('/clients'), {
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    const blocks = page.locator(`section[aria-label="${section}"] article`, {
      has: page.getByRole('heading', { name: card, exact: true }),
    })
    await blocks.getByRole('button', { name: `Copy ${block}` }).click()
    await blocks.getByText('Copied').first().waitFor()
    return page.evaluate(() => navigator.clipboard.readText())
  }

  test.each([
    { section: 'SDKs', card: 'OpenAI SDK', block: 'Python', has: 'base_url="ORIGIN/v1"' },
    { section: 'SDKs', card: 'OpenAI SDK', block: 'Node.js', has: "baseURL: 'ORIGIN/v1'" },
    { section: 'SDKs', card: 'Anthropic SDK', block: 'Python', has: 'base_url="ORIGIN"' },
    { section: 'SDKs', card: 'Anthropic SDK', block: 'Node.js', has: "baseURL: 'ORIGIN'" },
    {
      section: 'Coding agents',
      card: 'Claude Code',
      block: 'Shell',
      has: 'ANTHROPIC_BASE_URL=ORIGIN claude',
    },
    {
      section: 'Coding agents',
      card: 'Codex CLI',
      block: '~/.codex/config.toml',
      has: 'base_url = "ORIGIN/v1"',
    },
    { section: 'Coding agents', card: 'Cursor', block: 'Override OpenAI Base URL', has: 'ORIGIN/v1' },
    { section: 'MCP clients', card: 'VS Code', block: '.vscode/mcp.json', has: '"url": "ORIGIN/mcp"' },
  ])('$card, $block: copies what points to this gateway', async ({ section, card, block, has }) => {
    expect(await copied(section, card, block)).toContain(has.replace('ORIGIN', demo.url))
  })

  test.each([
    { block: 'Chat completions (OpenAI)', model: 'gpt-4o-mini' },
    { block: 'Messages (Anthropic)', model: 'claude-haiku-4-5' },
  ])('curl, $block: is answered as it stands', async ({ block, model }) => {
    const command = await copied('curl', 'curl', block)
    const { stdout } = await run('bash', ['-c', `${command} --silent --fail-with-body`], {
      env: { ...process.env, OPENAI_API_KEY: 'demo', ANTHROPIC_API_KEY: 'demo' },
    })
    expect(JSON.parse(stdout).model).toContain(model)
  })
})
