/** Open to other machines, the admin port asks for a token: by header, or once for a cookie. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SessionState } from '../../src/admin/api-types.ts'
import { endCommands, ready, says, startCommand } from '../support/command.ts'
import { gatewayWith, toYaml } from '../support/configuration.ts'
import { type RunningGateway, runGateway } from '../support/gateway.ts'
import { type Reply, send } from '../support/wire.ts'
import { type AdminLab, askApi, startAdminLab } from './lab.fixture.ts'
import { operations } from './schema.fixture.ts'

const TOKEN = 'a-token-for-tests-0123456789'
const OPEN = { ADMIN_ADDR: '0.0.0.0:0' }

const directory = mkdtempSync(join(tmpdir(), 'agentgateway-session-'))
const started: RunningGateway[] = []
let lab: AdminLab
let adminUrl: string
beforeAll(async () => {
  lab = await startAdminLab({ environment: { ...OPEN, ADMIN_TOKEN: TOKEN } })
  adminUrl = lab.gateway.adminUrl
})
afterEach(async () => {
  for (const one of started.splice(0)) await one.close()
})
afterAll(async () => {
  await lab?.close()
  endCommands()
  rmSync(directory, { recursive: true })
})

async function run(config: object, environment: Record<string, string> = OPEN): Promise<RunningGateway> {
  const gateway = await runGateway(gatewayWith([], { config }), environment)
  started.push(gateway)
  return gateway
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const signIn = (token: string, url = adminUrl) => askApi(url, '/api/session', { token })
const stateOf = ({ body }: Reply) => JSON.parse(body) as SessionState
const cookieOf = ({ headers }: Reply) => headers['set-cookie']?.[0] ?? ''
const pairOf = (reply: Reply) => ({ cookie: cookieOf(reply).split(';')[0] ?? '' })

const closed = operations.filter(({ path }) => path !== '/api/session')

test.each(closed)('it answers $method $path only with the token', async ({ method, path }) => {
  const url = `${adminUrl}${path.replace('{port}', '1').replace(/\{\w+\}/, 'x')}`
  const wrong: Record<string, string>[] = [
    {},
    bearer('wrong'),
    bearer(''),
    { authorization: TOKEN },
    { authorization: `Basic ${TOKEN}` },
    { cookie: 'agentgateway_session=x' },
  ]
  for (const headers of wrong) {
    const reply = await send(url, { method, headers })
    expect(reply.status).toBe(401)
    if (path.startsWith('/api'))
      expect(JSON.parse(reply.body)).toEqual({ error: expect.stringMatching(/sign in/i) })
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer/)
  }
  const asked = await send(url, { method, headers: bearer(TOKEN) })
  expect(asked.status).not.toBe(401)
})

test.each(['/nowhere', '/api', '/api/nowhere', '/metrics', '/api/session/', '/UI/', '/uix'])(
  'it does not even say that there is no %s',
  async (path) => {
    expect((await send(`${adminUrl}${path}`)).status).toBe(401)
    expect((await send(`${adminUrl}${path}`, { headers: bearer(TOKEN) })).status).toBe(404)
  },
)

test.each(['/', '/ui', '/ui/', '/ui/logs', '/ui/assets/x.js'])(
  'it asks nobody for the file %s',
  async (path) => {
    expect((await send(`${adminUrl}${path}`)).status).not.toBe(401)
  },
)

describe('signing in', () => {
  test('it says that a token is asked for', async () => {
    expect(stateOf(await askApi(adminUrl, '/api/session'))).toEqual({ signedIn: false, tokenRequired: true })
    expect(stateOf(await askApi(adminUrl, '/api/session', undefined, bearer(TOKEN)))).toEqual({
      signedIn: true,
      tokenRequired: true,
    })
  })

  test('it sets a cookie that works until the client signs out', async () => {
    const reply = await signIn(TOKEN)
    expect([reply.status, stateOf(reply)]).toEqual([200, { signedIn: true, tokenRequired: true }])
    expect(cookieOf(reply)).toMatch(/; HttpOnly(;|$)/i)
    expect(cookieOf(reply)).toMatch(/; SameSite=Strict(;|$)/i)
    expect(cookieOf(reply)).toMatch(/; Path=\/(;|$)/i)
    expect(cookieOf(reply)).not.toContain(TOKEN)
    expect((await askApi(adminUrl, '/api/runtime', undefined, pairOf(reply))).status).toBe(200)
    expect(stateOf(await askApi(adminUrl, '/api/session', undefined, pairOf(reply))).signedIn).toBe(true)

    const other = await signIn(TOKEN)
    const left = await send(`${adminUrl}/api/session`, { method: 'DELETE', headers: pairOf(reply) })
    expect([left.status, stateOf(left)]).toEqual([200, { signedIn: false, tokenRequired: true }])
    expect(cookieOf(left)).toMatch(/Max-Age=0|Expires=Thu, 01 Jan 1970/i)
    expect((await askApi(adminUrl, '/api/runtime', undefined, pairOf(reply))).status).toBe(401)
    expect((await askApi(adminUrl, '/api/runtime', undefined, pairOf(other))).status).toBe(200)
  })

  test('it finds its cookie among others', async () => {
    const { cookie } = pairOf(await signIn(TOKEN))
    const headers = { cookie: `a=b; ${cookie}; c=d` }
    expect((await askApi(adminUrl, '/api/runtime', undefined, headers)).status).toBe(200)
  })

  test('it gives every client a session of its own', async () => {
    const replies = await Promise.all(Array.from({ length: 5 }, () => signIn(TOKEN)))
    expect(new Set(replies.map(cookieOf)).size).toBe(5)
  })

  test.each(['', 'wrong', `${TOKEN}x`, TOKEN.slice(0, -1), TOKEN.toUpperCase()])(
    'it lets half a second pass before it refuses "%s"',
    async (token) => {
      const begun = performance.now()
      const reply = await signIn(token)
      expect(reply.status).toBe(401)
      expect(performance.now() - begun).toBeGreaterThan(450)
      expect(reply.headers['set-cookie']).toBeUndefined()
    },
  )

  test('it does not keep others waiting meanwhile', async () => {
    const wrong = signIn('wrong')
    const begun = performance.now()
    expect((await signIn(TOKEN)).status).toBe(200)
    expect(performance.now() - begun).toBeLessThan(400)
    await wrong
  })

  test.each([{}, { token: 5 }, { token: null }, { token: TOKEN, more: 1 }])('it refuses %j', async (body) => {
    expect((await askApi(adminUrl, '/api/session', body)).status).toBe(400)
  })

  test('it does not let a page of another site use the cookie', async () => {
    const headers = pairOf(await signIn(TOKEN))
    const pages: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
    ]
    for (const foreign of pages)
      expect((await askApi(adminUrl, '/api/runtime', undefined, { ...headers, ...foreign })).status).toBe(403)
  })

  test('it is the same by any name of this machine', async () => {
    const headers = { ...bearer(TOKEN), host: 'gateway.example:15000' }
    expect((await askApi(adminUrl, '/api/runtime', undefined, headers)).status).toBe(200)
  })
})

test('it has the token in no answer and no line of the log', async () => {
  const paths = operations.filter(({ method, path }) => method === 'GET' && !path.includes('{'))
  for (const { path } of paths) {
    const reply = await askApi(adminUrl, path, undefined, bearer(TOKEN))
    expect([path, reply.status]).toEqual([path, 200])
    expect(JSON.stringify(reply)).not.toContain(TOKEN)
  }
  expect(lab.gateway.log()).not.toContain(TOKEN)
})

describe('where the token comes from', () => {
  const works = async (gateway: RunningGateway, token: string) =>
    (await askApi(gateway.adminUrl, '/api/runtime', undefined, bearer(token))).status

  test('it is taken from the configuration, and redacted there', async () => {
    const gateway = await run({ adminToken: TOKEN })
    expect(await works(gateway, TOKEN)).toBe(200)
    for (const path of ['/api/config', '/api/config/effective', '/config_dump']) {
      const { status, body } = await askApi(gateway.adminUrl, path, undefined, bearer(TOKEN))
      expect(status).toBe(200)
      expect(body).toContain('adminToken')
      expect(body).not.toContain(TOKEN)
    }
  })

  test('it is taken from a file, without the end of its line', async () => {
    const file = join(directory, 'token')
    writeFileSync(file, `${TOKEN}\n`)
    const gateway = await run({ adminToken: { file } })
    expect(await works(gateway, TOKEN)).toBe(200)
    const { body } = await askApi(gateway.adminUrl, '/api/config', undefined, bearer(TOKEN))
    expect(body).not.toContain(TOKEN)
  })

  test('it is taken from the environment before the configuration', async () => {
    const gateway = await run({ adminToken: 'of-the-file-0123456789' }, { ...OPEN, ADMIN_TOKEN: TOKEN })
    expect([await works(gateway, TOKEN), await works(gateway, 'of-the-file-0123456789')]).toEqual([200, 401])
  })

  test('it is asked for on loopback too when one is configured', async () => {
    const gateway = await run({ adminToken: TOKEN }, {})
    expect(await works(gateway, 'wrong')).toBe(401)
    expect(await works(gateway, TOKEN)).toBe(200)
  })

  test('it is made up and told once when there is none', async () => {
    const gateway = await run({})
    const told = gateway
      .log()
      .split('\n')
      .filter((line) => line.includes('"scope":"admin"'))
    expect(told).toHaveLength(1)
    expect(JSON.parse(told[0] ?? '')).toMatchObject({ level: 'warn' })
    const [token] = /(?<![\w-])[\w-]{24,}(?![\w-])/.exec(told[0] ?? '') ?? []
    expect(token).toBeDefined()
    expect(await works(gateway, String(token))).toBe(200)
    expect(await works(gateway, 'undefined')).toBe(401)
    const again = await run({})
    expect(again.log()).not.toContain(String(token))
  })

  test.each(['127.0.0.1:0', 'localhost:0', '[::1]:0', '127.1.2.3:0'])(
    'it asks for none at %s',
    async (address) => {
      const gateway = await run({}, { ADMIN_ADDR: address })
      expect(gateway.log()).not.toContain('"token"')
      const host = address.startsWith('[') ? '[::1]' : address.replace(/:0$/, '')
      const { status } = await send(`http://${host}:${gateway.gateway.ports().admin}/api/runtime`)
      expect(status).toBe(200)
    },
  )

  test.each(['0.0.0.0:0', '[::]:0', ':0'])('it asks for one at %s', async (address) => {
    const gateway = await run({}, { ADMIN_ADDR: address })
    expect((await askApi(gateway.adminUrl, '/api/runtime')).status).toBe(401)
  })
})

const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address

test.skipIf(address === undefined)(
  'it answers to another address of the machine with the token alone',
  async () => {
    const url = `http://${address}:${new URL(adminUrl).port}`
    expect((await askApi(url, '/api/runtime')).status).toBe(401)
    expect((await askApi(url, '/api/runtime', undefined, bearer(TOKEN))).status).toBe(200)
  },
)

describe('a token that is too short', () => {
  const short = 'fifteen-letters'
  const file = join(directory, 'short')
  const binds = [{ port: 0, listeners: [{ routes: [] }] }]

  test.each<{ name: string; config: object; environment: Record<string, string>; place: RegExp }>([
    { name: 'in the environment', config: {}, environment: { ADMIN_TOKEN: short }, place: /ADMIN_TOKEN/ },
    {
      name: 'in the configuration',
      config: { adminToken: short },
      environment: {},
      place: /config\.adminToken/,
    },
    { name: 'in a file', config: { adminToken: { file } }, environment: {}, place: /config\.adminToken/ },
    {
      name: 'in an empty file',
      config: { adminToken: { file: `${file}-empty` } },
      environment: {},
      place: /config\.adminToken/,
    },
    { name: 'of no letters', config: { adminToken: '' }, environment: {}, place: /config\.adminToken/ },
  ])('it is refused at the start $name, by its place', async ({ config, environment, place }) => {
    writeFileSync(file, `${short}\n`)
    writeFileSync(`${file}-empty`, '\n')
    const configFile = join(directory, 'config.yaml')
    writeFileSync(configFile, toYaml({ config: { ...config, database: { url: 'off' } }, binds }))
    const command = startCommand(['-f', configFile], { environment: { ...OPEN, ...environment } })
    const ended = await Promise.race([command.exited, ready(command).catch(() => command.exited)])
    command.kill('SIGKILL')
    if (!('code' in ended)) throw new Error('it started nonetheless')
    expect(ended.code).not.toBe(0)
    const said = ended.stdout + ended.stderr
    expect(said).toMatch(place)
    expect(said).toMatch(/16/)
    // The configuration's own line may be shown, the environment's values not.
    if (environment.ADMIN_TOKEN !== undefined) expect(said).not.toContain(short)
  })

  test('it says where the file is named that is not there', async () => {
    const missing = join(directory, 'no-such-token')
    const configFile = join(directory, 'config.yaml')
    writeFileSync(configFile, `config:\n  adminToken:\n    file: ${missing}\n`)
    const command = startCommand(['-f', configFile], { environment: OPEN })
    const { code, stderr } = await command.exited
    expect(code).toBe(2)
    expect(stderr).toMatch(/config\.yaml:3:\d+/)
    expect(stderr).toContain('config.adminToken.file')
    expect(stderr).toContain(`cannot read ${missing}`)
  })

  test('it lets nobody in by an empty file', async () => {
    writeFileSync(`${file}-empty`, '\n')
    const gateway = await run({ adminToken: { file: `${file}-empty` } }).catch(() => undefined)
    if (gateway === undefined) return
    expect((await signIn('', gateway.adminUrl)).status).toBe(401)
  })

  test('it starts with sixteen', async () => {
    const configFile = join(directory, 'config.yaml')
    const config = { adminToken: 'sixteen-letters-', database: { url: 'off' } }
    writeFileSync(configFile, toYaml({ config, binds }))
    const command = startCommand(['-f', configFile], { environment: OPEN })
    await ready(command)
    expect(command.lines().some(says('token'))).toBe(false)
    command.kill('SIGKILL')
    await command.exited
  })
})
