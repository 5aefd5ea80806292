/** The doctor behind the gateway: what can be wrong with Prometheus, the collector and Jaeger. */

import { setTimeout as pause } from 'node:timers/promises'
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { startCollector } from '../support/collector.ts'
import {
  CLOSED,
  examined,
  failure,
  ok,
  open,
  opened,
  PASSWORD,
  run,
  STACK,
  serve,
  serveSilence,
  serveText,
  stack,
  statuses,
  useDoctorLab,
} from '../support/doctor-lab.ts'
import { freePort } from '../support/free-port.ts'
import { type PrometheusOptions, sendJson, startJaeger, startServer } from '../support/stand-ins.ts'

useDoctorLab()

/** Every hop of the stack, given these answers instead of its own. */
const STRANGE: readonly { name: string; start: () => Promise<{ url: string }>; detail: RegExp }[] = [
  {
    name: 'garbage',
    start: () => serveText('{"status": '),
    detail:
      /^another program has the port: GET \S+ answered 200 with something else than expected: \{"status":$/,
  },
  {
    name: 'JSON of another kind',
    start: () => serve((_request, response) => sendJson(response, 200, [1, 2])),
    detail: /^another program has the port: .*: \[1,2\]$/,
  },
  { name: 'silence', start: serveSilence, detail: /takes the connection and does not answer in time$/ },
  {
    name: 'an error',
    start: () => serve((_request, response) => sendJson(response, 500, { message: 'no disk' })),
    detail: /answered 500: \{"message":"no disk"\}$/,
  },
]

describe.each(['prometheus', 'jaeger', 'grafana'] as const)('%s:', (place) => {
  test.each(STRANGE)('$name', async ({ start, detail }) => {
    const { url } = await start()
    const report = await examined({
      gateway: await run(),
      at: { [place]: url },
      skip: STACK.filter((hop) => hop !== place),
      timeoutMs: 500,
    })
    expect(report[place]).toMatchObject(failure(detail, new RegExp(`docker-compose|start ${place}`)))
  })
})

describe('prometheus:', () => {
  const LONG_AGO = '2026-01-01T00:00:00.123456789Z'

  test.each<{ name: string; prometheus: Partial<PrometheusOptions>; detail: RegExp; advice: RegExp }>([
    {
      name: 'a target that is down',
      prometheus: {
        target: { health: 'down', lastError: 'dial tcp 172.18.0.2:15020: connect: connection refused' },
      },
      detail:
        /its target http:\/\/agentgateway:15020\/metrics is down: dial tcp 172\.18\.0\.2:15020: connect: connection refused$/,
      advice: /prometheus\.yml/,
    },
    {
      name: 'no target',
      prometheus: { hasNoTarget: true },
      detail: /does not scrape the gateway: no target with job agentgateway or port 15020 among 1 target$/,
      advice: /add a job `agentgateway`/,
    },
    {
      name: 'a scrape before the request',
      prometheus: { target: { lastScrape: LONG_AGO, scrapeInterval: '1m' } },
      detail: /has not scraped \S+ since the request \(every 1m\)$/,
      advice: /--timeout/,
    },
    {
      name: 'another gateway',
      prometheus: {
        query: (promql) => (promql.startsWith('sum(agentgateway_requests_total{') ? 0.5 : undefined),
      },
      detail: /shows 0\.5 requests, the gateway itself 1$/,
      advice: /another gateway/,
    },
  ])('$name', async ({ prometheus, detail, advice }) => {
    const { gateway, at } = await stack({ prometheus })
    const report = await examined({
      gateway,
      at: { prometheus: at.prometheus },
      skip: ['collector', 'jaeger', 'grafana'],
      timeoutMs: 1000,
    })
    expect(report.prometheus).toMatchObject(failure(detail, advice))
  })

  test('it finds the gateway by its port where the job has another name', async () => {
    const target = { labels: { job: 'llm', instance: 'a:15020' } }
    const { gateway, at } = await stack({ prometheus: { target, hasExemplars: false } })
    const report = await examined({
      gateway,
      at: { prometheus: at.prometheus },
      skip: ['collector', 'jaeger', 'grafana'],
    })
    expect(report.prometheus).toMatchObject(
      ok(/keeps no exemplars: start it with --enable-feature=exemplar-storage$/),
    )
  })

  test('it takes a password out of the address, and shows neither', async () => {
    const { gateway } = await stack()
    let authorization: string | undefined
    const locked = await serve((request, response) => {
      ;({ authorization } = request.headers)
      response.writeHead(401).end(`not ${PASSWORD}, not ${authorization}`)
    })
    const url = locked.url.replace('//', `//me:${encodeURIComponent(PASSWORD)}@`)
    const report = await examined({
      gateway,
      at: { prometheus: url },
      skip: ['collector', 'jaeger', 'grafana'],
    })
    expect(report.prometheus).toMatchObject(
      failure(/answered 401: not \*\*\*, not Basic \*\*\*$/, /--prometheus http:\/\/USER:PASSWORD@/),
    )
    expect(authorization).toBe(`Basic ${Buffer.from(`me:${PASSWORD}`).toString('base64')}`)
  })
})

test('a part that is named and just starting is waited for', async () => {
  const port = await freePort()
  let started: Promise<unknown> | undefined
  const report = await examined({
    gateway: await run(),
    at: { jaeger: `http://127.0.0.1:${port}` },
    skip: ['prometheus', 'collector', 'grafana'],
    startingMs: 10_000,
    onWait: (hop) => {
      // Only when the doctor has looked around, and at Jaeger for the first time, and found nobody.
      if (hop === 'jaeger')
        started = pause(300).then(() =>
          open(startServer((_request, response) => void response.end('{}'), port)),
        )
    },
  })
  await started
  // What starts there is no Jaeger, but it is seen.
  expect(report.jaeger).toMatchObject({ status: 'failed', detail: expect.stringMatching(/something else/) })
})

describe('collector:', () => {
  test.each<{ name: string; start: () => Promise<string>; detail: RegExp; advice: RegExp }>([
    {
      name: 'nothing listens',
      start: async () => '127.0.0.1:1',
      detail: /^nothing listens/,
      advice: /docker-compose ps otel-collector/,
    },
    {
      name: 'no gRPC',
      start: async () => `127.0.0.1:${(await serveText('hello')).port}`,
      detail: /another program has the port: .* does not speak gRPC/,
      advice: /start otel-collector/,
    },
    {
      name: 'gRPC for something else',
      start: async () => {
        const server = new GrpcServer()
        opened.push({ close: () => server.forceShutdown() })
        const port = await new Promise((resolve, reject) =>
          server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
            error === null ? resolve(bound) : reject(error),
          ),
        )
        return `127.0.0.1:${port}`
      },
      detail: /another program has the port: .* takes no traces over gRPC/,
      advice: /start otel-collector/,
    },
    {
      name: 'silence',
      start: async () => `127.0.0.1:${(await open(startCollector({ silent: true }))).port}`,
      detail: /does not answer in time$/,
      advice: /docker-compose logs otel-collector/,
    },
  ])('$name', async ({ start, detail, advice }) => {
    const report = await examined({
      gateway: await run(),
      at: { collector: await start() },
      skip: ['prometheus', 'jaeger', 'grafana'],
      timeoutMs: 1000,
    })
    expect(report.collector).toMatchObject(failure(detail, advice))
  })

  test('the gateway looks for it elsewhere', async () => {
    const collector = await open(startCollector())
    const report = await examined({
      gateway: await run({ collectorUrl: CLOSED }),
      at: { collector: `127.0.0.1:${collector.port}` },
      skip: ['prometheus', 'jaeger', 'grafana'],
    })
    expect(report.collector).toMatchObject(
      failure(
        /^the gateway could not deliver its spans: 3 spans dropped since the request$/,
        /otlpEndpoint.*its log/,
      ),
    )
  })

  test('a gateway alone that cannot deliver its spans is broken there', async () => {
    const gateway = await run({ collectorUrl: CLOSED })
    const report = await examined({ gateway })
    expect(statuses(report)).toEqual(['absent', 'failed', 'absent', 'absent'])
    expect(report.collector).toMatchObject(
      failure(
        /^the gateway could not deliver its spans: 3 spans dropped since the request; nothing listens at 127/,
        /^start the collector.*config\.tracing\.otlpEndpoint/,
      ),
    )
  })

  test('it cannot hand on what it gets', async () => {
    let lost = 0
    const { gateway, at, collector } = await stack({
      prometheus: {
        query: (promql) => {
          if (promql.includes('failed_spans')) return lost
          return promql.includes('accepted_spans') ? collector.spans.length : undefined
        },
      },
      jaeger: { spans: () => [] },
    })
    void collector
      .waitFor((spans) => spans.length > 0)
      .then(() => {
        lost = 3
      })
    const report = await examined({ gateway, at, skip: ['grafana'], timeoutMs: 5000 })
    expect(report).toMatchObject({
      collector: failure(/could not hand on 3 spans since the request$/, /exporter's endpoint/),
      jaeger: failure(/does not have the trace$/, /see the hop before$/),
    })
  })
})

describe('jaeger does not have the trace:', () => {
  test('tracing is off', async () => {
    const jaeger = await open(startJaeger({ spans: () => [] }))
    const report = await examined({
      gateway: await run(),
      at: { jaeger: jaeger.url },
      skip: ['prometheus', 'collector', 'grafana'],
      timeoutMs: 500,
    })
    expect(report.jaeger).toMatchObject(
      failure(
        /does not have the trace$/,
        /^the gateway did not record the trace: `config\.tracing` is missing/,
      ),
    )
  })

  test('the collector lost it', async () => {
    const { gateway, at } = await stack({ jaeger: { spans: () => [] } })
    const report = await examined({ gateway, at, skip: ['grafana'], timeoutMs: 2500 })
    expect(report).toMatchObject({
      collector: ok(/accepted 3 spans/),
      jaeger: failure(/does not have the trace$/, /^the collector lost it: .*exporter/),
    })
  })
})
