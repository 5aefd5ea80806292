/** `agentgateway doctor`: the whole stack, a gateway alone, and the command. */
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { examine } from '../src/doctor/doctor.ts'
import type { Addresses } from '../src/doctor/hops.ts'
import { endCommands, startCommand } from './support/command.ts'
import {
  CLOSED,
  examined,
  failure,
  KEY,
  matching,
  NOWHERE,
  ok,
  open,
  provider,
  run,
  STACK,
  serve,
  serveText,
  stack,
  statuses,
  useDoctorLab,
} from './support/doctor-lab.ts'
import type { RunningGateway } from './support/gateway.ts'
import { startJaeger } from './support/stand-ins.ts'

useDoctorLab()

describe('the whole stack', () => {
  test('it follows one marked request everywhere', async () => {
    const { gateway, at } = await stack()
    const report = await examined({ gateway, at })
    expect(report).toMatchObject({
      gateway: ok(new RegExp(`continued our trace ${report.traceId}$`)),
      provider: ok(/^200: gpt-4o-mini-2024-07-18, \d+ tokens read, 16 written$/),
      metrics: ok(/an exemplar has our trace id$/),
      prometheus: ok(
        /scraped \S+ [\d.]+ s after the request: 1 request in all, and an exemplar with our trace id$/,
      ),
      collector: ok(/takes traces, accepted 3 spans since the request$/),
      jaeger: ok(
        /has the trace, 3 spans of agentgateway: POST \/v1\/\* → chat gpt-4o-mini → POST 127\.0\.0\.1$/,
      ),
      grafana: ok(/login works, “AgentGateway” is there, its panel “Request rate” shows [\d.]+ requests\/s$/),
    })
    const [billed, ...others] = provider.calls
    expect(others).toEqual([])
    expect(billed?.headers['user-agent']).toBe('agentgateway-doctor/0.0.0-test')
    expect(billed?.traceparent).toContain(report.traceId)
  })

  test.each([
    { name: 'as a stream of objects', jaeger: { isStream: true } },
    { name: 'from Jaeger 1.x', jaeger: { version: 1 } },
  ] as const)('it reads a trace $name', async ({ jaeger }) => {
    const { gateway, at } = await stack({ jaeger })
    const report = await examined({ gateway, at, skip: ['prometheus', 'grafana'] })
    expect(report).toMatchObject({
      collector: ok(/the trace went on to Jaeger$/),
      jaeger: ok(/3 spans of agentgateway: POST \/v1\/\* → chat gpt-4o-mini → POST/),
    })
  })

  test('it leaves out what is skipped, and touches none of it', async () => {
    const untouched = await serve(() => {
      throw new Error('was asked')
    })
    const gateway = await run()
    const skip = ['metrics', ...STACK] as const
    const report = await examined({
      gateway,
      at: Object.fromEntries(
        ['metrics', 'prometheus', 'jaeger', 'grafana'].map((place) => [place, untouched.url]),
      ),
      skip,
    })
    expect(statuses(report, skip)).toEqual(skip.map(() => 'skipped'))
    expect(report).toMatchObject({ gateway: { status: 'ok' }, provider: { status: 'ok' } })
  })
})

test('it sends no request when the gateway is skipped', async () => {
  const gateway = await run()
  const report = await examined({ gateway, skip: ['gateway'] })
  expect(statuses(report, ['gateway', 'provider', 'metrics'])).toEqual(['skipped', 'skipped', 'skipped'])
  expect(provider.calls).toEqual([])
})

describe('a gateway alone', () => {
  test('is all right: nobody misses the others', async () => {
    const gateway = await run()
    const report = await examined({ gateway })
    expect(statuses(report)).toEqual(['absent', 'absent', 'absent', 'absent'])
    expect(report).toMatchObject({
      provider: { status: 'ok' },
      metrics: ok(/agentgateway_requests_total grew from 0 to 1$/),
      prometheus: { detail: matching(/^nothing listens at http:\/\/127\.0\.0\.1:1$/) },
    })
    expect(report.prometheus).not.toHaveProperty('advice')
  })

  test('is all right beside a program that happens to have a default port', async () => {
    const gateway = await run()
    const other = await serveText('<html>my own server</html>')
    const report = await examined({ gateway, at: { grafana: other.url }, named: new Set() })
    expect(statuses(report)).toEqual(['absent', 'absent', 'absent', 'absent'])
    expect(report.grafana.detail).toMatch(/^another program has the port: .*my own server/)
  })

  test('misses what was named', async () => {
    const gateway = await run()
    const report = await examined({ gateway, at: { jaeger: CLOSED } })
    expect(statuses(report)).toEqual(['absent', 'absent', 'failed', 'absent'])
    expect(report.jaeger).toMatchObject(failure(/^nothing listens/, /docker-compose ps jaeger.*--jaeger/))
  })

  test('misses all of them as soon as one is there', async () => {
    const gateway = await run()
    const jaeger = await open(startJaeger({ spans: () => [] }))
    const report = await examined({ gateway, at: { jaeger: jaeger.url }, named: new Set(), timeoutMs: 1000 })
    expect(statuses(report)).toEqual(['failed', 'failed', 'failed', 'failed'])
  })
})

test('it ends between two hops when it is told to', async () => {
  const gateway = await run()
  const stop = new AbortController()
  const { results } = examine({
    addresses: { ...NOWHERE, gateway: gateway.url, metrics: gateway.statsUrl },
    named: new Set(),
    skip: new Set(),
    model: undefined,
    timeoutMs: 5000,
    keys: { openAI: KEY, anthropic: undefined },
    grafana: { user: 'admin', password: 'admin' },
    version: '0',
    signal: stop.signal,
  })
  await results.next()
  stop.abort()
  await expect(results.next()).rejects.toThrow(/abort/)
})

describe('the command', () => {
  afterAll(endCommands)

  const optionsFor = (gateway: RunningGateway, at: Partial<Addresses>) => [
    ...Object.entries({ gateway: gateway.url, metrics: gateway.statsUrl, ...at }).flatMap(
      ([place, address]) => [`--${place}`, address],
    ),
    // Somebody may well have a gateway on this machine.
    ...['--skip', 'console'],
  ]

  test('it prints a line per hop, the trace, and ends with 0', async () => {
    const { gateway, at } = await stack()
    const { code, stdout, stderr } = await startCommand(['doctor', ...optionsFor(gateway, at)], {
      environment: { OPENAI_API_KEY: KEY },
    }).exited
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^✓ gateway {5}.*\n✓ provider.*\n✓ metrics.*\n– console.*\n✓ prometheus.*\n✓ collector.*\n✓ jaeger.*\n✓ grafana.*\n\neverything works: trace (\w{32})\nhttp:\/\/127\.0\.0\.1:\d+\/trace\/\1\n$/,
    )
    expect(stdout).not.toContain(KEY)
  })

  test('it takes Prometheus’ password from the environment, unless the address has one', async () => {
    const asked = new Set<string | undefined>()
    const locked = await serve((request, response) => {
      asked.add(request.headers.authorization)
      response.writeHead(401).end()
    })
    const gateway = await run()
    const skip = ['--skip', 'provider,metrics,console,collector,jaeger,grafana']
    for (const prometheus of [locked.url, locked.url.replace('//', '//me:mine@')]) {
      const { stdout } = await startCommand(
        ['doctor', '--gateway', gateway.url, '--prometheus', prometheus, ...skip],
        { environment: { OPENAI_API_KEY: KEY, PROMETHEUS_PASSWORD: 'pa/ss@word' } },
      ).exited
      expect(stdout).not.toMatch(/pa.{1,3}ss|mine/)
    }
    const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`
    expect([...asked]).toEqual([basic('admin:pa/ss@word'), basic('me:mine')])
  })

  test('it reports what is broken as JSON, and ends with 1', async () => {
    const gateway = await run()
    const skip = ['--skip', 'collector,jaeger,grafana']
    const options = [...optionsFor(gateway, { prometheus: CLOSED }), ...skip, '--json', '--timeout', '5']
    const { code, stdout } = await startCommand(['doctor', ...options]).exited
    expect(code).toBe(1)
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ ok: false, firstBroken: 'provider', traceId: matching(/^\w{32}$/) })
    expect(report.hops).toHaveLength(8)
    expect(report.hops[1]).toEqual({
      hop: 'provider',
      status: 'failed',
      detail: matching(/^no OPENAI_API_KEY/),
      advice: expect.any(String),
      ms: expect.any(Number),
    })
  })

  test('it names the first broken hop and what to do, and ends with 1', async () => {
    const { code, stdout } = await startCommand([
      'doctor',
      ...[
        '--gateway',
        CLOSED,
        '--metrics',
        CLOSED,
        '--skip',
        'prometheus,collector',
        '--skip',
        'jaeger,grafana',
      ],
    ]).exited
    expect(code).toBe(1)
    expect(stdout).toMatch(/^✗ gateway {5}nothing listens at http:\/\/127\.0\.0\.1:1\n {14}→ start it/)
    expect(stdout).toMatch(/\n\nbroken: gateway: nothing listens at \S+ → start it .*\n$/)
  })
})

test('its documentation names every hop and every option', () => {
  const page = readFileSync(new URL('../docs/doctor.md', import.meta.url), 'utf8')
  const words = [
    '--gateway',
    '--metrics',
    '--collector',
    '--skip',
    '--model',
    '--timeout',
    '--json',
    ...STACK,
  ]
  for (const word of [...words, 'gateway', 'provider', 'metrics']) expect(page).toContain(`\`${word}`)
})
