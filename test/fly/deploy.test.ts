import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { unknownIn } from './flags.ts'
import { type Call, rehearse, SCRIPT } from './rehearsal.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const FLY = join(ROOT, 'observability/fly')
const KEY = 'sk-canary-openai'
const ALL = [
  'OPENAI_API_KEY',
  'GATEWAY_API_KEY',
  'GF_SECURITY_ADMIN_PASSWORD',
  'PROMETHEUS_PASSWORD',
  'ADMIN_TOKEN',
]

const DEPLOY = [
  ...['--config', `${FLY}/fly.toml`, '--dockerfile', `${FLY}/Dockerfile`],
  ...['--ignorefile', `${FLY}/.dockerignore`, '--ha=false', '--remote-only', '--yes'],
]
const deployOf = (app: string, ...more: string[]) => ['deploy', ROOT, '--app', app, ...DEPLOY, ...more]

const ADDRESSES = (app: string) => [
  ['ips', 'list', '--app', app, '--json'],
  ['ips', 'allocate-v6', '--app', app],
  ['ips', 'allocate-v4', '--shared', '--app', app],
]

const argumentsOf = (calls: readonly Call[]) => calls.map(({ args }) => args)

function secretsOf(calls: readonly Call[]): Readonly<Record<string, string>> {
  const stdin = calls.find(({ args }) => args[1] === 'import')?.stdin ?? ''
  return Object.fromEntries(
    stdin
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

describe('a new app', () => {
  test('is created, gets its secrets, and is deployed, without a question', async () => {
    const { run, calls } = rehearse()
    const { code, stderr } = await run(['my-gateway', KEY])
    expect(code).toBe(0)
    expect(argumentsOf(calls())).toEqual([
      ['auth', 'whoami'],
      ['apps', 'list', '--quiet'],
      ['apps', 'create', 'my-gateway', '--org', 'personal', '--yes'],
      ...ADDRESSES('my-gateway'),
      ['secrets', 'import', '--app', 'my-gateway', '--stage'],
      deployOf('my-gateway'),
    ])
    expect(calls().flatMap(({ args }) => unknownIn(args))).toEqual([])
    const secrets = secretsOf(calls())
    expect(Object.keys(secrets)).toEqual(ALL)
    expect(secrets.OPENAI_API_KEY).toBe(KEY)
    expect(stderr).toMatch(/https:\/\/my-gateway\.fly\.dev\n/)
    expect(stderr).toMatch(/https:\/\/my-gateway\.fly\.dev:3001 /)
    expect(stderr).toMatch(/https:\/\/my-gateway\.fly\.dev:9090 /)
    expect(stderr).toMatch(/fly proxy 16686 --app my-gateway, then http:\/\/localhost:16686\n/)
    expect(stderr).toMatch(/shell history/)
  })

  test('no secret is an argument, and only those that were made up are shown, once', async () => {
    const { run, calls } = rehearse()
    const { stdout, stderr } = await run(['my-gateway', KEY])
    const { OPENAI_API_KEY: given = '', ...madeUp } = secretsOf(calls())
    const written = stdout + stderr
    expect(written).not.toContain(given)
    for (const [name, secret] of Object.entries(madeUp)) {
      expect(secret).toMatch(/^(?:gw-)?[0-9a-f]{48}$/)
      expect(written.split(secret)).toHaveLength(2)
      expect(written).toContain(`${name}=${secret}`)
      expect(JSON.stringify(argumentsOf(calls()))).not.toContain(secret)
    }
    expect(new Set(Object.values(madeUp)).size).toBe(4)
    expect(JSON.stringify(argumentsOf(calls()))).not.toContain(KEY)
  })

  test('is called agentgateway when nobody says, with keys of the environment', async () => {
    const { run, calls } = rehearse()
    const environment = {
      OPENAI_API_KEY: KEY,
      ANTHROPIC_API_KEY: 'sk-ant-1',
      GATEWAY_API_KEY: 'mine-0123456789ab',
      GF_SECURITY_ADMIN_PASSWORD: 'a&b;$(c)`d`e#f=g',
    }
    const { code, stdout, stderr } = await run([], { environment })
    expect(code).toBe(0)
    expect(argumentsOf(calls()).at(-1)).toEqual(deployOf('agentgateway'))
    expect(secretsOf(calls())).toMatchObject(environment)
    expect(stdout + stderr).not.toMatch(/sk-ant-1|mine|a&b/)
  })

  test('region, organization and an open gateway', async () => {
    const { run, calls } = rehearse()
    const { stderr } = await run(['my-gateway', KEY, '--region=fra', '--org', 'acme', '--open'])
    expect(argumentsOf(calls())[2]).toEqual(['apps', 'create', 'my-gateway', '--org', 'acme', '--yes'])
    expect(argumentsOf(calls()).at(-1)).toEqual(
      deployOf('my-gateway', '--primary-region', 'fra', '--env', 'CLIENT_KEY_MODE=permissive'),
    )
    expect(calls().flatMap(({ args }) => unknownIn(args))).toEqual([])
    expect(stderr).toMatch(/Anybody may use this gateway/)
  })

  test('with the command under its other name', async () => {
    const { run, calls } = rehearse({ command: 'flyctl' })
    const { code, stderr } = await run(['my-gateway', KEY])
    expect(code).toBe(0)
    expect(calls()).toHaveLength(8)
    expect(stderr).toContain('flyctl logs --app my-gateway')
  })
})

describe('a file with variables', () => {
  test('is read and not run', async () => {
    const { run, calls, file } = rehearse()
    const path = file(
      'env',
      [
        '# comment',
        '',
        `export OPENAI_API_KEY="${KEY}"\r`,
        "ANTHROPIC_API_KEY='sk-ant-1'",
        'GATEWAY_API_KEY=$(id)`id`0123456789',
        '  OTHER=1',
        'PROMETHEUS_PASSWORD=without-newline',
      ].join('\n'),
    )
    const { code } = await run(['my-gateway', '--env-file', path])
    expect(code).toBe(0)
    expect(secretsOf(calls())).toMatchObject({
      OPENAI_API_KEY: KEY,
      ANTHROPIC_API_KEY: 'sk-ant-1',
      GATEWAY_API_KEY: '$(id)`id`0123456789',
      PROMETHEUS_PASSWORD: 'without-newline',
    })
    expect(Object.keys(secretsOf(calls()))).not.toContain('OTHER')
  })

  test('is weaker than the environment', async () => {
    const { run, calls, file } = rehearse()
    const path = file('env', 'OPENAI_API_KEY=sk-of-the-file\n')
    await run(['my-gateway', `--env-file=${path}`], { environment: { OPENAI_API_KEY: KEY } })
    expect(secretsOf(calls()).OPENAI_API_KEY).toBe(KEY)
  })

  test.each([
    { name: 'not there', text: undefined, says: /cannot read .*nowhere/ },
    { name: 'no variables', text: 'OPENAI_API_KEY=a\nwhat is this\n', says: /line 2: expected NAME=VALUE/ },
    {
      name: 'spaces',
      text: 'OPENAI_API_KEY = sk-hidden\n',
      says: /line 1: expected NAME=VALUE, without spaces/,
    },
    {
      name: 'a comment behind a value',
      text: '\nOPENAI_API_KEY=sk-hidden # mine\n',
      says: /line 2: the value of OPENAI_API_KEY has spaces in it; a comment needs a line of its own/,
    },
  ])('$name: nothing happens', async ({ text, says }) => {
    const { run, calls, file } = rehearse()
    const path = text === undefined ? '/nowhere' : file('env', text)
    const { code, stderr } = await run(['my-gateway', KEY, '--env-file', path])
    expect({ code, calls: calls() }).toEqual({ code: 1, calls: [] })
    expect(stderr).toMatch(says)
    expect(stderr).not.toMatch(/what is this|sk-hidden/)
  })
})

describe('a second run', () => {
  test('updates, and leaves secrets as they are', async () => {
    const { run, calls } = rehearse()
    await run(['my-gateway', KEY])
    const before = calls().length
    const { code, stdout, stderr } = await run(['my-gateway'], {
      environment: { ANTHROPIC_API_KEY: 'sk-ant-1' },
    })
    expect(code).toBe(0)
    const second = calls().slice(before)
    expect(argumentsOf(second)).toEqual([
      ['auth', 'whoami'],
      ['apps', 'list', '--quiet'],
      ['secrets', 'list', '--app', 'my-gateway', '--json'],
      ['ips', 'list', '--app', 'my-gateway', '--json'],
      ['secrets', 'import', '--app', 'my-gateway', '--stage'],
      deployOf('my-gateway'),
    ])
    expect(second[4]?.stdin).toBe('ANTHROPIC_API_KEY=sk-ant-1\n')
    expect(stdout + stderr).not.toMatch(/Made up/)
  })

  test('without anything to set, sets nothing', async () => {
    const { run, calls } = rehearse({ apps: ['my-gateway'], secrets: ALL, machines: ['17811'], ips: ['v6'] })
    const { code, stderr } = await run(['my-gateway', '--region', 'fra'])
    expect(code).toBe(0)
    expect(argumentsOf(calls())).toEqual([
      ['auth', 'whoami'],
      ['apps', 'list', '--quiet'],
      ['secrets', 'list', '--app', 'my-gateway', '--json'],
      ['machine', 'list', '--app', 'my-gateway', '--quiet'],
      ['ips', 'list', '--app', 'my-gateway', '--json'],
      deployOf('my-gateway'),
    ])
    expect(calls().flatMap(({ args }) => unknownIn(args))).toEqual([])
    expect(stderr).toMatch(/has a machine, which stays where it is/)
  })

  test('goes on where the first one failed', async () => {
    const { run, calls } = rehearse({ apps: ['other', 'my-gateway'] })
    const { code } = await run(['my-gateway', KEY])
    expect(code).toBe(0)
    expect(Object.keys(secretsOf(calls()))).toEqual(ALL)
  })

  test('goes on in the region that was asked for', async () => {
    const { run, calls } = rehearse({ apps: ['my-gateway'], secrets: ALL })
    await run(['my-gateway', '--region', 'fra'])
    expect(argumentsOf(calls()).at(-1)).toEqual(deployOf('my-gateway', '--primary-region', 'fra'))
  })

  test('finds its app among thousands', async () => {
    const others = Array.from({ length: 5000 }, (_, index) => `app-of-somebody-${index}`)
    const { run, calls } = rehearse({ apps: ['my-gateway', ...others], secrets: ALL })
    const { code } = await run(['my-gateway'])
    expect(code).toBe(0)
    expect(argumentsOf(calls()).some((args) => args[1] === 'create')).toBe(false)
  })

  test('is not fooled by an app with a longer name', async () => {
    const { run, calls } = rehearse({ apps: ['my-gateway-2', 'x-my-gateway'] })
    await run(['my-gateway', KEY])
    expect(argumentsOf(calls())[2]).toEqual(['apps', 'create', 'my-gateway', '--org', 'personal', '--yes'])
  })
})

describe('what goes wrong', () => {
  test.each([
    { fail: 'auth', calls: 1, says: [/not logged in/, /`fly auth login`/, /Nothing has been created/] },
    { fail: 'apps list', calls: 2, says: [/could not list your apps/, /Nothing has been created/] },
    { fail: 'apps create', calls: 3, says: [/could not create the app/, /Nothing has been created/] },
    {
      fail: 'secrets import',
      calls: 7,
      says: [/could not set the secrets/, /exists, with no machine/, /--destroy/],
    },
    { fail: 'deploy', calls: 8, says: [/the deployment failed/, /fly status --app my-gateway/, /--destroy/] },
  ])('$fail: it stops there, and says what is left', async ({ fail, calls: count, says }) => {
    const { run, calls } = rehearse({ fail })
    const { code, stderr } = await run(['my-gateway', KEY])
    expect(code).toBe(1)
    expect(calls()).toHaveLength(count)
    expect(stderr).toContain('fly says why')
    for (const text of says) expect(stderr).toMatch(text)
    expect(stderr).not.toContain(KEY)
  })

  test.each(['deploy', 'secrets import'])(
    'secrets that were made up are told although %s failed',
    async (fail) => {
      const { run, calls } = rehearse({ fail })
      const { stderr } = await run(['my-gateway', KEY])
      const told = /GF_SECURITY_ADMIN_PASSWORD=([0-9a-f]{48})\n/.exec(stderr)?.[1]
      expect(told).toBeDefined()
      if (fail === 'deploy') expect(told).toBe(secretsOf(calls()).GF_SECURITY_ADMIN_PASSWORD)
    },
  )

  test('no random numbers: nothing is made up', async () => {
    const { run, calls } = rehearse({ without: ['od'] })
    const { code, stderr } = await run(['my-gateway', KEY])
    expect({ code, calls: calls().length }).toEqual({ code: 1, calls: 2 })
    expect(stderr).toMatch(/no random numbers/)
  })

  test.each(['sk-Proj_abc', 'sk-abc'])(
    'a key in the place of the name is refused, and not repeated: %s',
    async (key) => {
      const { run, calls } = rehearse()
      const { code, stderr } = await run([key])
      expect({ code, calls: calls() }).toEqual({ code: 2, calls: [] })
      expect(stderr).not.toContain(key)
    },
  )

  test.each([
    { name: 'GATEWAY_API_KEY', value: 'fifteen-letters', least: 16 },
    { name: 'GF_SECURITY_ADMIN_PASSWORD', value: 'admin', least: 8 },
    { name: 'PROMETHEUS_PASSWORD', value: 'x', least: 8 },
    // The gateway itself would refuse it.
    { name: 'ADMIN_TOKEN', value: 'short', least: 16 },
  ])('a short $name is refused', async ({ name, value, least }) => {
    const { run } = rehearse()
    const { code, stderr } = await run(['my-gateway', KEY], { environment: { [name]: value } })
    expect(code).toBe(1)
    expect(stderr).toContain(`${name} needs ${least} characters at least`)
  })

  test('secrets list: an app that runs stays as it is', async () => {
    const { run, calls } = rehearse({ apps: ['my-gateway'], secrets: ALL, fail: 'secrets list' })
    const { code, stderr } = await run(['my-gateway', KEY])
    expect({ code, calls: calls().length }).toEqual({ code: 1, calls: 3 })
    expect(stderr).toMatch(/The app my-gateway is as it was/)
  })

  test('a name that is taken', async () => {
    const { run, calls } = rehearse({ taken: ['my-gateway'] })
    const { code, stderr } = await run(['my-gateway', KEY])
    expect({ code, calls: calls().length }).toEqual({ code: 1, calls: 3 })
    expect(stderr).toMatch(/already been taken/)
    expect(stderr).toMatch(/choose another: \.\/deploy-fly\.sh OTHER-NAME/)
  })

  test('no fly command', async () => {
    const { run } = rehearse({ command: undefined })
    const { code, stderr } = await run(['my-gateway', KEY])
    expect(code).toBe(1)
    expect(stderr).toMatch(/no command named fly\n.*https:\/\/fly\.io\/docs\/flyctl\/install/)
  })

  test('no key, and nobody to ask', async () => {
    const { run, calls } = rehearse()
    const { code, stderr } = await run(['my-gateway'])
    expect({ code, calls: calls().length }).toEqual({ code: 1, calls: 2 })
    expect(stderr).toMatch(/no OpenAI API key\n.*OPENAI_API_KEY in the environment/)
  })

  test.each([
    ['My-Gateway'],
    ['my_gateway'],
    ['my.gateway'],
    ['-gateway'],
    ['gateway-'],
    ['a'],
    ['a'.repeat(64)],
    ['a b'],
    ['a;reboot'],
    ['../etc'],
    ['ä-gateway'],
  ])('the name %j is refused before anything happens', async (name) => {
    const { run, calls } = rehearse()
    const { code, stderr } = await run(name.startsWith('-') ? ['--', name] : [name, KEY])
    expect({ code, calls: calls() }).toEqual({ code: 2, calls: [] })
    expect(stderr).toMatch(/lower-case letters, digits and hyphens|unknown option/)
  })

  test.each([['a1'], ['a'.repeat(63)], ['my-gateway-2']])('the name %j is fine', async (name) => {
    const { run } = rehearse()
    expect((await run([name, KEY])).code).toBe(0)
  })

  test.each([
    { name: 'a newline', secret: 'sk-a\nEVIL=1' },
    { name: 'a space', secret: 'sk a' },
    { name: 'a quote', secret: 'sk"a' },
    { name: 'a backslash', secret: 'sk\\a' },
    { name: 'letters that headers cannot have', secret: 'sk-ä\u0007' },
  ])('a key with $name is refused, and not repeated', async ({ secret }) => {
    const { run, calls } = rehearse()
    const { code, stderr } = await run(['my-gateway', secret])
    expect(code).toBe(1)
    expect(calls().map(({ args }) => args[0])).toEqual(['auth', 'apps'])
    expect(stderr).toMatch(/OPENAI_API_KEY is not one line of visible characters/)
    expect(stderr).not.toContain(secret)
  })

  test.each([
    { args: ['--regoin', 'fra'], says: /unknown option --regoin/ },
    { args: ['--api-key=sk-secret'], says: /unknown option --api-key\n/ },
    { args: ['--region'], says: /--region needs a value/ },
    { args: ['a1', 'b', 'sk-third'], says: /more than an app and a key/ },
  ])('$args: wrong usage', async ({ args, says }) => {
    const { run, calls } = rehearse()
    const { code, stderr } = await run(args)
    expect({ code, calls: calls() }).toEqual({ code: 2, calls: [] })
    expect(stderr).toMatch(says)
    expect(stderr).toMatch(/--help/)
    expect(stderr).not.toMatch(/sk-/)
  })
})

describe('--dry-run', () => {
  test('prints every command, runs none, and shows no secret', async () => {
    const { run, calls } = rehearse()
    const environment = { ANTHROPIC_API_KEY: 'sk-ant-canary' }
    const { code, stdout, stderr } = await run(['my-gateway', KEY, '--dry-run'], { environment })
    expect({ code, stdout, calls: calls() }).toEqual({ code: 0, stdout: '', calls: [] })
    const printed = stderr.split('\n').filter((line) => line.startsWith('+ '))
    expect(printed).toEqual([
      '+ fly auth whoami',
      '+ fly apps list --quiet',
      '+ fly apps create my-gateway --org personal --yes',
      ...ADDRESSES('my-gateway').map((args) => `+ fly ${args.join(' ')}`),
      '+ fly secrets import --app my-gateway --stage',
      `+ fly ${deployOf('my-gateway').join(' ')}`,
    ])
    expect(stderr).toMatch(/ {4}OPENAI_API_KEY=\*\*\*\n {4}ANTHROPIC_API_KEY=\*\*\*\n/)
    expect(stderr).not.toMatch(/canary|[0-9a-f]{48}/)
  })

  test('needs neither fly nor a key', async () => {
    const { run } = rehearse({ command: undefined })
    const { code, stderr } = await run(['--dry-run'])
    expect(code).toBe(0)
    expect(stderr).toMatch(/\+ fly apps create agentgateway --org personal --yes/)
    expect(stderr).toMatch(/there is no OpenAI API key/)
  })

  test('of --destroy', async () => {
    const { run, calls } = rehearse({ apps: ['my-gateway'] })
    const { code, stderr } = await run(['my-gateway', '--destroy', '--dry-run'])
    expect({ code, calls: calls() }).toEqual({ code: 0, calls: [] })
    expect(stderr).toBe('+ fly apps destroy my-gateway --yes\n')
  })
})

test('a link leads to it', async () => {
  const { run, calls, link } = rehearse()
  const { code } = await run(['my-gateway', KEY], { script: link('deploy', SCRIPT) })
  expect(code).toBe(0)
  expect(argumentsOf(calls()).at(-1)).toEqual(deployOf('my-gateway'))
})

test('CDPATH leads nobody astray', async () => {
  const { run, calls } = rehearse()
  await run(['my-gateway', KEY], { environment: { CDPATH: ROOT } })
  expect(argumentsOf(calls()).at(-1)).toEqual(deployOf('my-gateway'))
})

test('--help says everything, on standard output', async () => {
  const { run } = rehearse()
  const { code, stdout, stderr } = await run(['--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const script = readFileSync(SCRIPT, 'utf8')
  const options = [...script.matchAll(/^ {4}(?:-h \| )?(--[a-z-]+)(?:=\*)?\)/gm)].map(([, option]) => option)
  expect(options.length).toBeGreaterThan(7)
  for (const option of options) expect(stdout).toContain(option)
  for (const name of [...ALL, 'ANTHROPIC_API_KEY']) expect(stdout).toContain(name)
})

describe('on a terminal', () => {
  test('it asks for name and keys, and hides the keys', async () => {
    const { onTerminal, calls } = rehearse()
    const terminal = onTerminal([])
    await terminal.until('App name [agentgateway]: ')
    terminal.type('\n')
    await terminal.until('OpenAI API key: ')
    terminal.type(`${KEY}\n`)
    await terminal.until('Anthropic API key (optional): ')
    terminal.type('\n')
    const { code, stdout } = await terminal.result
    expect(code).toBe(0)
    expect(stdout).not.toContain(KEY)
    expect(stdout).toContain('https://agentgateway.fly.dev')
    expect(argumentsOf(calls()).at(-1)).toEqual(deployOf('agentgateway'))
    expect(Object.keys(secretsOf(calls()))).toEqual(ALL)
    expect(secretsOf(calls()).OPENAI_API_KEY).toBe(KEY)
  })

  test('it asks for the key alone when the app is given', async () => {
    const { onTerminal, calls } = rehearse()
    const terminal = onTerminal(['my-gateway'])
    await terminal.until('OpenAI API key: ')
    terminal.type(`${KEY}\n`)
    expect((await terminal.result).code).toBe(0)
    expect(secretsOf(calls()).OPENAI_API_KEY).toBe(KEY)
  })

  test('it asks nothing when both are given', async () => {
    const { onTerminal } = rehearse()
    const { code, stdout } = await onTerminal(['my-gateway', KEY]).result
    expect(code).toBe(0)
    expect(stdout).not.toMatch(/API key:|App name/)
  })

  test('an update may keep the keys', async () => {
    const { onTerminal, calls } = rehearse({ apps: ['my-gateway'], secrets: [...ALL, 'ANTHROPIC_API_KEY'] })
    const terminal = onTerminal([])
    await terminal.until('App name [agentgateway]: ')
    terminal.type('my-gateway\n')
    await terminal.until('OpenAI API key (empty: as it is): ')
    terminal.type('\n')
    await terminal.until('Anthropic API key (empty: as it is): ')
    terminal.type('sk-ant-2\n')
    expect((await terminal.result).code).toBe(0)
    expect(secretsOf(calls())).toEqual({ ANTHROPIC_API_KEY: 'sk-ant-2' })
  })

  test('an empty key is none', async () => {
    const { onTerminal } = rehearse()
    const terminal = onTerminal(['my-gateway'])
    await terminal.until('OpenAI API key: ')
    terminal.type('\n')
    const { code, stdout } = await terminal.result
    expect(code).toBe(1)
    expect(stdout).toContain('there is no OpenAI API key')
  })

  test('interrupted at the first question: nothing has happened', async () => {
    const { onTerminal, calls } = rehearse()
    const terminal = onTerminal([])
    await terminal.until('App name')
    terminal.interrupt()
    const { code, stdout } = await terminal.result
    expect({ code, calls: calls() }).toEqual({ code: 130, calls: [] })
    expect(stdout).toMatch(/interrupted\s+Nothing has been created/)
  })

  test('interrupted while it deploys: it says what is there, and what was made up', async () => {
    const { onTerminal, calls } = rehearse({ hang: 'deploy' })
    const terminal = onTerminal(['my-gateway', KEY])
    await terminal.until('fly stands still')
    terminal.interrupt()
    const { code, stdout } = await terminal.result
    expect(code).toBe(130)
    expect(stdout).toMatch(/interrupted\s+How far my-gateway has come: `fly status/)
    expect(stdout).toContain(`ADMIN_TOKEN=${secretsOf(calls()).ADMIN_TOKEN}`)
  })
})

describe('--destroy', () => {
  test('asks twice, and deletes', async () => {
    const { onTerminal, calls } = rehearse({ apps: ['my-gateway'] })
    const terminal = onTerminal(['my-gateway', '--destroy'])
    await terminal.until('Its name again')
    terminal.type('my-gateway\n')
    await terminal.until('Really?')
    terminal.type('yes\n')
    expect((await terminal.result).code).toBe(0)
    expect(argumentsOf(calls()).at(-1)).toEqual(['apps', 'destroy', 'my-gateway', '--yes'])
    expect(calls().flatMap(({ args }) => unknownIn(args))).toEqual([])
  })

  test.each([
    { name: 'another name', answers: [['Its name again', 'agentgateway']], says: 'that is not my-gateway' },
    {
      name: 'no yes',
      answers: [
        ['Its name again', 'my-gateway'],
        ['Really?', 'y'],
      ],
      says: 'not confirmed',
    },
  ])('$name: everything stays', async ({ answers, says }) => {
    const { onTerminal, calls } = rehearse({ apps: ['my-gateway'] })
    const terminal = onTerminal(['my-gateway', '--destroy'])
    for (const [question = '', answer] of answers) {
      await terminal.until(question)
      terminal.type(`${answer}\n`)
    }
    const { code, stdout } = await terminal.result
    expect(code).toBe(1)
    expect(stdout).toContain(says)
    expect(stdout).toContain('Nothing has been deleted')
    expect(argumentsOf(calls()).some((args) => args[1] === 'destroy')).toBe(false)
  })

  test('without a terminal it does nothing', async () => {
    const { run, calls } = rehearse({ apps: ['my-gateway'] })
    const { code, stderr } = await run(['my-gateway', '--destroy'])
    expect({ code, calls: calls() }).toEqual({ code: 1, calls: [] })
    expect(stderr).toMatch(/no terminal to answer on/)
    expect((await run(['--destroy'])).code).toBe(2)
  })

  test('of an app that is not there', async () => {
    const { onTerminal } = rehearse({ apps: ['other'] })
    const { code, stdout } = await onTerminal(['my-gateway', '--destroy']).result
    expect(code).toBe(1)
    expect(stdout).toContain('you have no app named my-gateway')
  })
})

const hasShellcheck = spawnSync('shellcheck', ['--version']).status === 0
// It says so in the run's summary when there is no shellcheck here.
test.skipIf(!hasShellcheck)('shellcheck has nothing to say about the scripts', () => {
  const scripts = [
    'start',
    'stop',
    'doctor',
    'grafana-password',
    'lib.sh',
    'grafana.sh',
    'services/watchdog/run',
    ...['agentgateway', 'jaeger', 'prometheus', 'grafana'].flatMap((service) => [
      `services/${service}/run`,
      `services/${service}/data/check`,
    ]),
  ]
  const checked = [
    spawnSync('shellcheck', [SCRIPT], { encoding: 'utf8' }),
    spawnSync('shellcheck', ['-s', 'sh', '-x', ...scripts], { encoding: 'utf8', cwd: FLY }),
    spawnSync('shellcheck', ['-s', 'sh', fileURLToPath(new URL('fly', import.meta.url))], {
      encoding: 'utf8',
    }),
  ]
  expect(checked.map(({ stdout, status }) => ({ stdout, status }))).toEqual(
    checked.map(() => ({ stdout: '', status: 0 })),
  )
})
