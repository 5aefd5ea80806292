import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { frontendTracingSchema, tracingSchema } from './schema.ts'
import { tracingSettings } from './tracing-settings.ts'

type Block = z.input<typeof tracingSchema>
type Environment = Readonly<Record<string, string | undefined>>

const fromBlock = (block: Block, environment: Environment = {}) =>
  tracingSettings(tracingSchema.parse(block), undefined, environment)

const fromFrontend = (block: z.input<typeof frontendTracingSchema>, environment: Environment = {}) =>
  tracingSettings(undefined, frontendTracingSchema.parse(block), environment)

test('the tutorial’s block means gRPC', () => {
  expect(fromBlock({ otlpEndpoint: 'http://otel-collector:4317', randomSampling: true })).toEqual({
    protocol: 'grpc',
    url: 'http://otel-collector:4317',
    headers: {},
    sampling: { random: 1, client: 1 },
    attributes: {},
    remove: [],
    resource: { 'service.name': 'agentgateway' },
  })
})

test('without a block nothing is on, whatever the environment says', () => {
  expect(tracingSettings(undefined, undefined, { OTLP_ENDPOINT: 'http://h:4317' })).toBeUndefined()
})

describe('an endpoint', () => {
  test.each([
    { endpoint: 'http://h:4317', grpc: 'http://h:4317', http: 'http://h:4317/v1/traces' },
    { endpoint: 'http://h', grpc: 'http://h:80', http: 'http://h:80/v1/traces' },
    { endpoint: 'http://h/', grpc: 'http://h:80', http: 'http://h:80/v1/traces' },
    { endpoint: 'https://h', grpc: 'https://h:443', http: 'https://h:443/v1/traces' },
    { endpoint: 'HTTPS://h:8443', grpc: 'https://h:8443', http: 'https://h:8443/v1/traces' },
    { endpoint: 'h:4317', grpc: 'http://h:4317', http: 'http://h:4317/v1/traces' },
    { endpoint: '[::1]:4317', grpc: 'http://[::1]:4317', http: 'http://[::1]:4317/v1/traces' },
    { endpoint: 'http://[::1]', grpc: 'http://[::1]:80', http: 'http://[::1]:80/v1/traces' },
    { endpoint: 'grpc://h', grpc: 'http://h:4317', http: undefined },
    { endpoint: 'grpc://h:1', grpc: 'http://h:1', http: undefined },
    { endpoint: 'http://h:4318/custom', grpc: undefined, http: 'http://h:4318/custom' },
    { endpoint: 'h:4318/custom/', grpc: undefined, http: 'http://h:4318/custom/' },
    { endpoint: 'h', grpc: undefined, http: undefined },
    { endpoint: 'ftp://h:1', grpc: undefined, http: undefined },
    { endpoint: 'http://', grpc: undefined, http: undefined },
    { endpoint: 'http://h:0', grpc: undefined, http: undefined },
    { endpoint: 'http://h:70000', grpc: undefined, http: undefined },
    { endpoint: 'http://user:pw@h', grpc: undefined, http: undefined },
    { endpoint: 'http://h/?a=b', grpc: undefined, http: undefined },
    { endpoint: 'http://h h', grpc: undefined, http: undefined },
  ])('$endpoint', ({ endpoint, ...expected }) => {
    for (const otlpProtocol of ['grpc', 'http'] as const) {
      const parse = () => fromBlock({ otlpEndpoint: endpoint, otlpProtocol })
      const url = expected[otlpProtocol]
      if (url !== undefined) expect(parse()?.url).toBe(url)
      else {
        expect(parse).toThrow(
          expect.objectContaining({ name: 'ConfigProblem', path: ['config', 'tracing', 'otlpEndpoint'] }),
        )
      }
    }
  })

  test('takes the configured path, unless it has its own', () => {
    expect(fromBlock({ otlpEndpoint: 'h:1', otlpProtocol: 'http', path: '/p' })?.url).toBe('http://h:1/p')
    expect(fromBlock({ otlpEndpoint: 'h:1/own', otlpProtocol: 'http', path: '/p' })?.url).toBe(
      'http://h:1/own',
    )
  })

  test('does not show a password that was put into it', () => {
    expect(() => fromBlock({ otlpEndpoint: 'http://user:hunter2@h' })).toThrow(/^(?!.*hunter2)/)
  })
})

describe('the environment', () => {
  const ALL = {
    OTLP_ENDPOINT: 'http://first:1',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://second:2',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://third:3',
    OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http',
    OTLP_HEADERS: 'a=1',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=2,b=2',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=3,c=3',
  }
  const without = (...names: (keyof typeof ALL)[]) =>
    Object.fromEntries(Object.entries(ALL).filter(([name]) => !names.some((other) => other === name)))
  const block: Block = { otlpEndpoint: 'file:9', otlpProtocol: 'http', headers: { A: 'file', Z: 'file' } }

  test.each([
    {
      name: 'nothing set',
      environment: {},
      url: 'http://file:9/v1/traces',
      headers: { a: 'file', z: 'file' },
    },
    { name: 'all set', environment: ALL, url: 'http://first:1', headers: { a: '1', z: 'file' } },
    {
      name: 'ours absent',
      environment: without('OTLP_ENDPOINT', 'OTLP_PROTOCOL', 'OTLP_HEADERS'),
      url: 'http://second:2/v1/traces',
      headers: { a: '2', b: '2', z: 'file' },
    },
    {
      name: 'only the general ones',
      environment: {
        OTEL_EXPORTER_OTLP_ENDPOINT: ALL.OTEL_EXPORTER_OTLP_ENDPOINT,
        OTEL_EXPORTER_OTLP_PROTOCOL: ALL.OTEL_EXPORTER_OTLP_PROTOCOL,
        OTEL_EXPORTER_OTLP_HEADERS: ALL.OTEL_EXPORTER_OTLP_HEADERS,
      },
      url: 'http://third:3/v1/traces',
      headers: { a: '3', c: '3', z: 'file' },
    },
    {
      name: 'empty ones',
      environment: { OTLP_ENDPOINT: '', OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTLP_HEADERS: '' },
      url: 'http://file:9/v1/traces',
      headers: { a: 'file', z: 'file' },
    },
  ])('$name', ({ environment, url, headers }) => {
    expect(fromBlock(block, environment)).toMatchObject({ url, headers })
    expect(Object.keys(fromBlock(block, environment)?.headers ?? {}).sort()).toEqual(
      Object.keys(headers).sort(),
    )
  })

  test('brings the endpoint that the file lacks', () => {
    expect(fromBlock({}, { OTLP_ENDPOINT: 'h:4317' })?.url).toBe('http://h:4317')
  })

  test('appends the signal’s path to the endpoint for all signals, as OpenTelemetry defines it', () => {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://cloud/otlp/', OTLP_PROTOCOL: 'http' }
    expect(fromBlock({}, environment)?.url).toBe('https://cloud:443/otlp/v1/traces')
  })

  test.each([
    { text: 'a=1,b=2', headers: { a: '1', b: '2' } },
    { text: ' a = 1 , b=2, ', headers: { a: '1', b: '2' } },
    { text: 'authorization=Basic dTpw==', headers: { authorization: 'Basic dTpw==' } },
    { text: 'authorization=Basic%20dTpw', headers: { authorization: 'Basic dTpw' } },
    { text: 'a=100%', headers: { a: '100%' } },
    {
      text: '{"Authorization":"Basic dTpw==","b":"x,y"}',
      headers: { authorization: 'Basic dTpw==', b: 'x,y' },
    },
  ])('reads the headers $text', ({ text, headers }) => {
    expect(fromBlock({ otlpEndpoint: 'h:1' }, { OTEL_EXPORTER_OTLP_HEADERS: text })?.headers).toEqual(headers)
  })

  test.each([
    { environment: { OTLP_PROTOCOL: 'http/json' }, message: /OTLP_PROTOCOL.*http\/json/ },
    { environment: { OTEL_EXPORTER_OTLP_PROTOCOL: 'GRPC' }, message: /OTEL_EXPORTER_OTLP_PROTOCOL/ },
    { environment: { OTLP_ENDPOINT: 'nonsense' }, message: /OTLP_ENDPOINT: expected/ },
    { environment: { OTLP_HEADERS: 'hunter2' }, message: /^(?!.*hunter2).*OTLP_HEADERS.*entry 1/ },
    { environment: { OTLP_HEADERS: '{"a":hunter2}' }, message: /^(?!.*hunter2).*OTLP_HEADERS/ },
    { environment: { OTLP_HEADERS: '{"a":1}' }, message: /OTLP_HEADERS.*a/ },
    { environment: { OTLP_HEADERS: 'a b=1' }, message: /header name/ },
    { environment: { OTLP_HEADERS: 'x-bin=1' }, message: /header name/ },
    { environment: { OTLP_HEADERS: 'a=%0Ahunter2' }, message: /^(?!.*hunter2).*printable/ },
  ])('refuses $environment', ({ environment, message }) => {
    const parse = () => fromBlock({ otlpEndpoint: 'h:1' }, environment)
    expect(parse).toThrow(message)
    expect(parse).toThrow(expect.objectContaining({ name: 'ConfigProblem', path: ['config', 'tracing'] }))
  })

  test.each([
    { name: 'nothing', environment: {}, serviceName: 'agentgateway' },
    { name: 'a name', environment: { OTEL_SERVICE_NAME: 'mine' }, serviceName: 'mine' },
    {
      name: 'a resource attribute',
      environment: { OTEL_RESOURCE_ATTRIBUTES: 'service.name=theirs,team=a%2Cb' },
      serviceName: 'theirs',
      team: 'a,b',
    },
    {
      name: 'both',
      environment: { OTEL_SERVICE_NAME: 'mine', OTEL_RESOURCE_ATTRIBUTES: 'service.name=theirs' },
      serviceName: 'mine',
    },
  ])('names the service after $name', ({ environment, serviceName, team }) => {
    const resource = { 'service.name': serviceName, ...(team && { team }) }
    expect(fromBlock({ otlpEndpoint: 'h:1' }, environment)?.resource).toEqual(resource)
    expect(fromFrontend({ host: 'h:1' }, environment)?.resource).toEqual(resource)
  })
})

describe('frontendPolicies.tracing', () => {
  test('is upstream’s newer form of the same, and hears no endpoint from the environment', () => {
    expect(
      fromFrontend(
        {
          host: 'h:4318',
          protocol: 'http',
          headers: { 'X-Key': 'Basic xx' },
          attributes: { team: '"a"' },
          resources: { 'service.name': '"mine"' },
          remove: ['client.address'],
          randomSampling: 0.5,
          clientSampling: false,
        },
        { OTLP_ENDPOINT: 'http://other:1', OTLP_HEADERS: 'b=1', OTEL_SERVICE_NAME: 'environment' },
      ),
    ).toEqual({
      protocol: 'http',
      url: 'http://h:4318/v1/traces',
      headers: { 'x-key': 'Basic xx' },
      sampling: { random: 0.5, client: 0 },
      attributes: { team: '"a"' },
      remove: ['client.address'],
      filter: undefined,
      resource: { 'service.name': 'mine' },
    })
  })

  test('has expressions: those of the resource are evaluated once, the others kept', () => {
    expect(
      fromFrontend({
        host: 'h:4317',
        attributes: { team: 'jwt.team' },
        resources: { zone: '"a" + "-" + string(1)' },
        filter: 'response.code >= 500',
        randomSampling: 'request.path == "/a"',
      }),
    ).toMatchObject({
      attributes: { team: 'jwt.team' },
      resource: { zone: 'a-1' },
      filter: 'response.code >= 500',
      sampling: { random: { source: 'request.path == "/a"' }, client: 1 },
    })
  })

  test.each([
    { source: '1', message: /expected an expression that makes a text/ },
    { source: '1 / 0 == 1', message: /./ },
  ])('refuses $source as an attribute of the resource, at its place', ({ source, message }) => {
    const parse = () => fromFrontend({ host: 'h:1', resources: { zone: source } })
    expect(parse).toThrow(
      expect.objectContaining({
        path: ['frontendPolicies', 'tracing', 'resources', 'zone'],
        message: expect.stringMatching(message),
      }),
    )
  })

  test('is gRPC by default and samples no new traces', () => {
    expect(fromFrontend({ host: 'h:4317' })).toMatchObject({
      protocol: 'grpc',
      url: 'http://h:4317',
      sampling: { random: 0, client: 1 },
    })
  })
})

test.each([
  {
    name: 'both forms',
    parse: () => tracingSettings({ otlpEndpoint: 'h:1' }, { host: 'h:1' }, {}),
    path: ['frontendPolicies', 'tracing'],
  },
  { name: 'a block without endpoint', parse: () => fromBlock({}), path: ['config', 'tracing'] },
  {
    name: 'a header that cannot be sent',
    parse: () => fromBlock({ otlpEndpoint: 'h:1', headers: { 'a b': 'x' } }),
    path: ['config', 'tracing', 'headers', 'a b'],
  },
  {
    name: 'a header’s value that cannot be sent',
    parse: () => fromFrontend({ host: 'h:1', headers: { a: 'ü' } }),
    path: ['frontendPolicies', 'tracing', 'headers', 'a'],
  },
])('$name is refused at its place', ({ parse, path }) => {
  expect(parse).toThrow(expect.objectContaining({ name: 'ConfigProblem', path }))
})
