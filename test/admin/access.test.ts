/** On loopback everybody on the machine may, and nobody else: no page of another site, no name that was made to point here. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consoleFiles } from '../../src/admin/console.ts'
import { chatBody } from '../support/configuration.ts'
import { type Reply, send, sendBytes } from '../support/wire.ts'
import { type AdminLab, askApi, CHAT, call, startAdminLab } from './lab.fixture.ts'
import { operations } from './schema.fixture.ts'

let lab: AdminLab
let traceId = ''
beforeAll(async () => {
  lab = await startAdminLab()
  const reply = await call(lab, { path: CHAT, body: chatBody() })
  traceId = String(reply.headers['x-trace-id'])
  await lab.gateway.recorded(1)
})
afterAll(() => lab?.close())

interface Asked {
  readonly method: string
  readonly path: string
}

/** Every call once, and what is beside the API. */
const everything = (): readonly Asked[] => [
  ...operations
    .filter(({ path }) => path !== '/api/logs/tail')
    .map(({ method, path }) => ({
      method,
      path: path
        .replace('{traceId}', traceId)
        .replace('{port}', new URL(lab.gateway.url).port)
        .replace('{path}', 'nowhere'),
    })),
  ...['/', '/ui', '/ui/', '/ui/index.html', '/ui/logs', '/nowhere', '/api/nowhere', '/favicon.ico'].map(
    (path) => ({
      method: 'GET',
      path,
    }),
  ),
]

const BODIES: Readonly<Record<string, unknown>> = {
  '/api/logs/get': { id: 'x' },
  '/api/session': { token: 'x' },
}

const ask = ({ method, path }: Asked, headers: Readonly<Record<string, string>> = {}): Promise<Reply> =>
  send(`${lab.gateway.adminUrl}${path}`, {
    method,
    headers: { ...(method === 'POST' && { 'content-type': 'application/json' }), ...headers },
    ...(method === 'POST' && { body: JSON.stringify(BODIES[path] ?? {}) }),
  })

test('it answers everything without a token', async () => {
  for (const one of everything().filter(({ path }) => path.startsWith('/api') && !/nowhere/.test(path)))
    expect([one.path, (await ask(one)).status]).toEqual([one.path, 200])
})

const link = (site: string) => ({
  'sec-fetch-site': site,
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
})

test.each(['cross-site', 'same-site'])('a link (%s) leads to the console and nowhere else', async (site) => {
  for (const one of everything()) {
    const isPage = one.method === 'GET' && (one.path === '/' || one.path.startsWith('/ui'))
    const { status } = await ask(one, link(site))
    if (isPage) expect([one.path, [200, 308, 404].includes(status)]).toEqual([one.path, true])
    else expect([one.path, status]).toEqual([one.path, 403])
  }
  const form = { ...link(site), origin: 'https://evil.example' }
  expect((await ask({ method: 'POST', path: '/ui/' }, form)).status).toBe(403)
  expect((await ask({ method: 'GET', path: '/ui/' }, form)).status).toBe(403)
})

describe.each<{ name: string; headers: Record<string, string> }>([
  { name: 'another name for this machine', headers: { host: 'evil.example' } },
  { name: 'another name and the right port', headers: { host: 'evil.example:15000' } },
  { name: 'a name that begins like this machine', headers: { host: 'localhost.evil.example' } },
  { name: 'an address that begins like this machine', headers: { host: '127.0.0.1.evil.example' } },
  { name: 'an address of the network', headers: { host: '192.168.1.5:15000' } },
  { name: 'a page of another site', headers: { origin: 'https://evil.example' } },
  { name: 'a page of another port', headers: { origin: 'http://127.0.0.1:1' } },
  { name: 'a page of nowhere', headers: { origin: 'null' } },
  { name: 'a page of another site, as browsers say', headers: { 'sec-fetch-site': 'cross-site' } },
  {
    name: 'a frame of another site',
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
  },
  {
    name: 'a script of another site',
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
  },
  {
    name: 'a link to another name for this machine',
    headers: { ...link('cross-site'), host: 'evil.example' },
  },
])('$name', ({ headers }) => {
  test('it is refused everywhere', async () => {
    for (const one of everything())
      expect([one.path, (await ask(one, headers)).status]).toEqual([one.path, 403])
  })
})

test.each(['GET /api/runtime HTTP/1.1\r\nHost:\r\nConnection: close', 'GET /api/runtime HTTP/1.0'])(
  'it refuses a request that names no host: %j',
  async (head) => {
    const answer = await sendBytes(lab.gateway.adminUrl, `${head}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 40[03] /)
  },
)

test.each<{ name: string; headers: () => Record<string, string> }>([
  { name: 'localhost', headers: () => ({ host: `localhost:${new URL(lab.gateway.adminUrl).port}` }) },
  { name: 'the address of IPv6', headers: () => ({ host: '[::1]:15000' }) },
  { name: 'a port that was forwarded', headers: () => ({ host: 'localhost:8080' }) },
  {
    name: 'its own page',
    headers: () => ({ origin: lab.gateway.adminUrl, 'sec-fetch-site': 'same-origin' }),
  },
  { name: 'the address line', headers: () => ({ 'sec-fetch-site': 'none' }) },
])('it answers to $name', async ({ headers }) => {
  expect((await ask({ method: 'GET', path: '/api/runtime' }, headers())).status).toBe(200)
})

test.each(operations.filter(({ method, path }) => method === 'POST' && !path.startsWith('/api/gateway')))(
  'it refuses what a form could send to $path',
  async ({ path }) => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonx',
      'text/plain; application/json',
    ])
      expect((await askApi(lab.gateway.adminUrl, path, {}, { 'content-type': type })).status).toBe(415)
    const untyped = await send(`${lab.gateway.adminUrl}${path}`, { method: 'POST', body: '{}' })
    expect(untyped.status).toBe(415)
  },
)

describe('headers', () => {
  const replies: [string, Reply][] = []
  beforeAll(async () => {
    const own = lab.gateway.adminUrl
    for (const one of everything()) {
      replies.push([`${one.method} ${one.path}`, await ask(one)])
      replies.push([`${one.method} ${one.path}, own page`, await ask(one, { origin: own })])
      replies.push([
        `${one.method} ${one.path}, other page`,
        await ask(one, { origin: 'https://evil.example' }),
      ])
    }
    const preflight = { origin: own, 'access-control-request-method': 'POST' }
    replies.push(['OPTIONS', await ask({ method: 'OPTIONS', path: '/api/logs/search' }, preflight)])
    replies.push(['415', await askApi(own, '/api/logs/search', {}, { 'content-type': 'text/plain' })])
    replies.push(['400', await askApi(own, '/api/logs/search', { unknown: 1 })])
    replies.push(['413', await askApi(own, '/api/logs/search', { text: 'x'.repeat(2e6) })])
  })

  test('it never allows another origin', () => {
    const names = replies.flatMap(([name, { headers }]) =>
      Object.keys(headers)
        .filter((header) => header.startsWith('access-control'))
        .map((header) => [name, header]),
    )
    expect(names).toEqual([])
  })

  test.each([
    { header: 'content-security-policy', says: /default-src 'none'.*frame-ancestors 'none'/ },
    { header: 'x-content-type-options', says: /^nosniff$/ },
    { header: 'x-frame-options', says: /^DENY$/ },
    { header: 'referrer-policy', says: /^no-referrer$/ },
    { header: 'cross-origin-resource-policy', says: /^same-origin$/ },
    { header: 'cross-origin-opener-policy', says: /^same-origin$/ },
  ])('it says $header with every answer', ({ header, says }) => {
    const lacking = replies.filter(([, { headers }]) => !says.test(String(headers[header])))
    expect(lacking.map(([name]) => name)).toEqual([])
  })

  test('it allows no script of the page itself', () => {
    const [, first] = replies[0] ?? []
    expect(first?.headers['content-security-policy']).not.toMatch(/unsafe|\*|https?:/)
  })

  test('it lets nothing of the API be kept', () => {
    const kept = replies.filter(
      ([name, { headers }]) => name.includes(' /api') && headers['cache-control'] !== 'no-store',
    )
    expect(kept.map(([name, { status }]) => `${name} ${status}`)).toEqual([])
  })
})

/** Paths that lead out of a folder where somebody has not looked. */
const WAYS_OUT = [
  '/ui/../../etc/passwd',
  '/ui/../secret.txt',
  '/ui/%2e%2e/%2e%2e/etc/passwd',
  '/ui/%2e%2e/secret.txt',
  '/ui/..%2fsecret.txt',
  '/ui/..%5csecret.txt',
  '/ui/..\\secret.txt',
  '/ui/%252e%252e/secret.txt',
  '/ui/....//secret.txt',
  '/ui//etc/passwd',
  '/ui/assets/../../secret.txt',
  '/ui/%00',
  '/ui/index.html%00.txt',
  '/ui/%c0%ae%c0%ae/secret.txt',
  '/ui/%',
  '/ui/secret.txt',
  '/etc/passwd',
  '/../etc/passwd',
  '//evil.example/ui/',
]

test.each(WAYS_OUT)('it has nothing at %s', async (path) => {
  const answer = await sendBytes(
    lab.gateway.adminUrl,
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 40[04] /)
  expect(answer).not.toContain('root:')
})

describe('the console, once it is built', () => {
  const directory = mkdtempSync(join(tmpdir(), 'agentgateway-console-'))
  let server: ReturnType<typeof createServer>
  let url: string
  beforeAll(async () => {
    mkdirSync(join(directory, 'ui', 'assets'), { recursive: true })
    writeFileSync(join(directory, 'secret.txt'), 'root:')
    writeFileSync(join(directory, 'ui', 'index.html'), '<!doctype html>')
    writeFileSync(join(directory, 'ui', 'assets', 'main-abc.js'), 'export {}')
    server = createServer(consoleFiles(join(directory, 'ui')))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })

  test.each(WAYS_OUT.filter((path) => path.startsWith('/ui')))('it has nothing at %s', async (path) => {
    const answer = await sendBytes(
      url,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    )
    expect(answer).not.toContain('root:')
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /)
  })

  test.each([
    { path: '/ui/', type: 'text/html; charset=utf-8', cache: 'no-cache' },
    { path: '/ui/logs', type: 'text/html; charset=utf-8', cache: 'no-cache' },
    {
      path: '/ui/assets/main-abc.js',
      type: 'text/javascript; charset=utf-8',
      cache: 'public, max-age=31536000, immutable',
    },
  ])('it has $path', async ({ path, type, cache }) => {
    const { status, headers } = await send(`${url}${path}`)
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([200, type, cache])
  })

  test('it has no page for a script that is not there', async () => {
    expect((await send(`${url}/ui/assets/old.js`)).status).toBe(404)
  })
})
