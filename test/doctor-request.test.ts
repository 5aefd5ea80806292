/** The doctor's request on its way: a gateway, a provider or metrics that are not what they should be. */
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startSimulatedAnthropic } from '../src/demo/provider.ts'
import type { DoctorOptions } from '../src/doctor/doctor.ts'
import { anthropicBackend, gatewayWith, openAIBackend, under } from './support/configuration.ts'
import {
  type Asked,
  CLOSED,
  examined,
  failure,
  KEY,
  matching,
  ok,
  open,
  opened,
  provider,
  run,
  STACK,
  serve,
  serveSilence,
  serveText,
  stack,
  useDoctorLab,
} from './support/doctor-lab.ts'
import { runGateway } from './support/gateway.ts'

useDoctorLab()

describe('gateway:', () => {
  const OTHER = { skip: STACK, timeoutMs: 2000 }

  test.each<{ name: string; start: () => Promise<string>; detail: RegExp; advice: RegExp }>([
    {
      name: 'nothing listens',
      start: async () => CLOSED,
      detail: /^nothing listens at http:\/\/127\.0\.0\.1:1$/,
      advice: /docker-compose ps agentgateway/,
    },
    {
      name: 'another program has the port',
      start: async () => (await serveText('mine')).url,
      detail: /^another program has the port: it answered 200, without x-trace-id: mine$/,
      advice: /binds\[\]\.port.*--gateway/,
    },
    {
      name: 'a gateway behind something that replaces the trace',
      start: async () =>
        (await serve((_request, response) => void response.setHeader('x-trace-id', 'a'.repeat(32)).end()))
          .url,
      detail: /under another trace \(x-trace-id a{32}\)/,
      advice: /traceparent/,
    },
    {
      name: 'TLS is expected and not spoken',
      start: async () => (await run()).url.replace('http:', 'https:'),
      detail: /does not speak TLS/,
      advice: /http:\/\/ instead of https/,
    },
    {
      name: 'no HTTP is spoken',
      start: async () => {
        const server = createServer((socket) => {
          socket.on('error', () => {})
          socket.end('\u0015\u0003\u0001 no HTTP')
        })
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        opened.push(server)
        const address = server.address()
        return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
      },
      detail: /does not speak HTTP$/,
      advice: /https:\/\//,
    },
    {
      name: 'it hangs',
      start: async () => (await serveSilence()).url,
      detail: /takes the connection and does not answer within 0\.3 s$/,
      advice: /docker-compose logs agentgateway/,
    },
    {
      name: 'it hangs up',
      start: async () => (await serve((request) => void request.socket.destroy())).url,
      detail: /takes the connection and closes it unanswered$/,
      advice: /docker-compose logs agentgateway/,
    },
  ])('$name', async ({ start, detail, advice }) => {
    const timeoutMs = detail.source.includes('within') ? 300 : OTHER.timeoutMs
    const report = await examined({ ...OTHER, timeoutMs, at: { gateway: await start() } })
    expect(report).toMatchObject({
      gateway: failure(detail, advice),
      provider: { status: 'skipped' },
      metrics: failure(/^nothing listens/, /:15020.*STATS_ADDR/),
    })
  })

  test('a name that does not resolve', async () => {
    const report = await examined({ ...OTHER, at: { gateway: 'http://gateway.invalid:3000' } })
    expect(report.gateway).toMatchObject(failure(/^the name gateway\.invalid does not resolve$/, /--gateway/))
  })

  test('without a marked request, later hops say what can be said', async () => {
    const { gateway, at } = await stack()
    const report = await examined({ at: { ...at, metrics: gateway.statsUrl } })
    expect(report).toMatchObject({
      gateway: { status: 'failed' },
      metrics: { status: 'skipped', detail: matching(/no marked request/) },
      prometheus: { status: 'skipped', detail: matching(/is up, but there is no marked request/) },
      collector: ok(/takes traces$/),
      jaeger: { status: 'skipped' },
    })
  })
})

describe('provider:', () => {
  const chat = async (asked: Asked = {}) => examined({ gateway: await run(), skip: STACK, ...asked })

  test.each<{ name: string; keys?: DoctorOptions['keys']; script?: object; detail: RegExp; advice: RegExp }>([
    {
      name: 'no key',
      keys: { openAI: undefined, anthropic: undefined },
      detail: /^no OPENAI_API_KEY in the environment: the provider answered 401$/,
      advice: /export OPENAI_API_KEY=….*backendAuth/,
    },
    {
      name: 'a key that is refused',
      script: {
        status: 401,
        errorBody: { error: { message: `Incorrect API key: ${KEY}`, code: 'invalid_api_key' } },
      },
      detail: /^OpenAI refuses the key \(401: Incorrect API key: \*\*\*\)$/,
      advice: /OPENAI_API_KEY holds a valid key/,
    },
    {
      name: 'a key that cannot be one',
      keys: { openAI: 'sk-\nläuft', anthropic: undefined },
      detail: /^OPENAI_API_KEY has characters that no key has/,
      advice: /export OPENAI_API_KEY/,
    },
    { name: 'no such model', script: { status: 404 }, detail: /^404: /, advice: /--model NAME/ },
    {
      name: 'too many requests',
      script: { status: 429 },
      detail: /^429: /,
      advice: /try again later|billing/,
    },
    { name: 'its own failure', script: { status: 500 }, detail: /^500: /, advice: /problem of its own/ },
    {
      name: 'rubbish',
      script: { fault: 'garbage' },
      detail: /^502: /,
      advice: /no working provider/,
    },
    { name: 'a reset', script: { fault: 'reset' }, detail: /^503: /, advice: /no working provider/ },
  ])('$name', async ({ keys, script, detail, advice }) => {
    if (script !== undefined) provider.next(script)
    const report = await chat(keys && { keys })
    expect(report).toMatchObject({
      gateway: { status: 'ok' },
      provider: failure(detail, advice),
      metrics: { status: 'ok' },
    })
  })

  test('a provider that cannot be reached', async () => {
    const report = await examined({ gateway: await run({ upstream: { port: 1 } }), skip: STACK })
    expect(report.provider).toMatchObject(failure(/^503: upstream call failed/, /DNS, firewall/))
  })

  test('a path without a route', async () => {
    const gateway = await open(
      runGateway(gatewayWith([{ matches: under('/else'), backends: [openAIBackend(provider)] }])),
    )
    const report = await examined({ gateway, skip: STACK })
    expect(report.provider).toMatchObject(
      failure(
        /^the gateway has no route for POST \/v1\/chat\/completions \(404: route not found\)$/,
        /routes/,
      ),
    )
  })

  test('a provider that hangs is told from a gateway that hangs', async () => {
    provider.next({ fault: 'never' })
    const report = await chat({ timeoutMs: 500 })
    expect(report).toMatchObject({
      gateway: ok(/answers \(a second, empty request/),
      provider: failure(/^no whole answer within 0\.5 s$/, /--timeout/),
      metrics: { status: 'ok' },
    })
  })

  test.each<{ name: string; asked: Asked; model: string }>([
    { name: 'a model of theirs', asked: { model: 'claude-sonnet-4-5' }, model: 'claude-sonnet-4-5' },
    { name: 'only their key', asked: {}, model: 'claude-haiku-4-5' },
  ])('it asks Anthropic, given $name', async ({ asked, model }) => {
    const anthropic = await open(startSimulatedAnthropic())
    const gateway = await open(
      runGateway(gatewayWith([{ matches: under('/v1'), backends: [anthropicBackend(anthropic)] }])),
    )
    const keys = { openAI: 'model' in asked ? 'sk-other' : undefined, anthropic: KEY }
    const report = await examined({ gateway, keys, skip: STACK, ...asked })
    expect(report.provider).toMatchObject(ok(new RegExp(`^200: ${model}.*, \\d+ tokens read, \\d+ written$`)))
    expect(anthropic.calls.map(({ headers }) => headers['x-api-key'])).toEqual([KEY])
  })
})

describe('metrics:', () => {
  test.each<{ name: string; start: () => Promise<string>; detail: RegExp; advice: RegExp }>([
    { name: 'a closed port', start: async () => CLOSED, detail: /^nothing listens/, advice: /STATS_ADDR/ },
    {
      name: 'another program',
      start: async () => (await serveText('# nothing of ours')).url,
      detail: /^another program answers at .*without any agentgateway_ metric/,
      advice: /--metrics/,
    },
    {
      name: 'those of another gateway',
      start: async () => (await run()).statsUrl,
      detail: /has no agentgateway_requests_total|still 0 requests/,
      advice: /--metrics/,
    },
    {
      name: 'silence',
      start: async () => (await serveSilence()).url,
      detail: /does not answer in time$/,
      advice: /docker-compose logs agentgateway/,
    },
  ])('$name', async ({ start, detail, advice }) => {
    const report = await examined({
      gateway: await run(),
      at: { metrics: await start() },
      skip: STACK,
      timeoutMs: 1000,
    })
    expect(report).toMatchObject({ provider: { status: 'ok' }, metrics: failure(detail, advice) })
  })
})

test('a busy gateway that is not ours is not taken for it', async () => {
  const gateway = await run()
  let requests = 0
  // Grows with every look, and leaves exemplars of others.
  const busy = await serve(
    (_request, response) =>
      void response.end(
        `agentgateway_requests_total{} ${++requests} # {trace_id="${'a'.repeat(32)}"} 1\n# EOF\n`,
      ),
  )
  const report = await examined({ gateway, at: { metrics: busy.url }, skip: STACK })
  expect(report.metrics).toMatchObject(ok(/grew from 1 to \d+; that may be others' requests/))
})

test.each([
  { model: 'gpt-4o-mini', keys: { openAI: undefined, anthropic: KEY }, path: '/v1/chat/completions' },
  { model: 'claude-haiku-4-5', keys: { openAI: KEY, anthropic: undefined }, path: '/v1/messages' },
  { model: undefined, keys: { openAI: undefined, anthropic: KEY }, path: '/v1/messages' },
  { model: undefined, keys: { openAI: KEY, anthropic: KEY }, path: '/v1/chat/completions' },
])('asks $path for $model with $keys', async ({ model, keys, path }) => {
  const asked: (string | undefined)[] = []
  const upstream = await serve((request, response) => {
    asked.push(request.url)
    response.writeHead(500).end()
  })
  const gateway = { url: upstream.url, statsUrl: CLOSED }
  await examined({ at: { gateway: gateway.url }, skip: ['metrics', ...STACK], model, keys })
  expect(asked).toEqual([path])
})
