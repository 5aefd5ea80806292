import { describe, expect, test } from 'vitest'
import { loadConfig } from './load.ts'

function problems(text: string) {
  const result = loadConfig({ text, file: 'gateway.yaml', environment: {} })
  return result.ok ? [] : result.problems
}

const ROUTE = 'binds[0].listeners[0].routes[0]'
const PLACES: readonly { place: string; open: string; close: string; keys: readonly string[] }[] = [
  {
    place: '',
    open: '',
    close: '',
    keys: ['tcpRoutes', 'ui', 'policies', 'routeGroups', 'workloads', 'services'],
  },
  {
    place: 'config',
    open: 'config: {',
    close: '}',
    keys: ['session', 'customFunctions'],
  },
  {
    place: 'llm',
    open: 'llm: {models: [{name: a, provider: openAI}], ',
    close: '}',
    keys: ['tls'],
  },
  {
    place: 'gateways.a',
    open: 'gateways: {a: {port: 1, ',
    close: '}}',
    keys: ['tunnelProtocol', 'apiKey', 'jwtAuth', 'cors', 'extAuthz'],
  },
  {
    place: 'gateways.a.listeners[0]',
    open: 'gateways: {a: {port: 1, listeners: [{',
    close: '}]}}',
    keys: ['policies', 'tcpRoutes', 'namespace'],
  },
  {
    place: 'routes[0].policies',
    open: 'routes: [{policies: {',
    close: '}}]\ngateways: {default: {port: 1}}',
    keys: ['requestMirror', 'extProc'],
  },
  {
    place: 'llm.policies',
    open: 'llm: {models: [{name: a, provider: openAI}], policies: {',
    close: '}}',
    keys: ['oidc', 'remoteRateLimit'],
  },
  {
    place: 'llm.models[0]',
    open: 'llm: {models: [{name: a, provider: openAI, ',
    close: '}]}',
    keys: [
      ...['id', 'passthrough', 'authorization', 'matches', 'backendTLS'],
      ...['transformation', 'finalTransformation', 'backendTunnel', 'promptCaching'],
    ],
  },
  {
    place: 'llm.providers[0].defaults',
    open: 'llm: {models: [{name: a, provider: openAI}], providers: [{name: a, provider: openAI, defaults: {',
    close: '}}]}',
    keys: ['transformation', 'finalTransformation', 'backendTunnel', 'promptCaching', 'backendTLS'],
  },
  ...['models', 'providers'].map((list) => ({
    place: `llm.${list}[0].params`,
    open: `llm: {${list === 'models' ? '' : 'models: [{name: a, provider: openAI}], '}${list}: [{name: a, provider: openAI, params: {`,
    close: '}}]}',
    keys: [
      ...['awsRegion', 'vertexRegion', 'vertexProject', 'tokenize', 'hostOverride', 'pathOverride'],
      ...['pathPrefix', 'azureResourceName', 'azureResourceType', 'azureApiVersion', 'azureProjectName'],
    ],
  })),
  {
    place: 'llm.models[0].auth',
    open: 'llm: {models: [{name: a, provider: openAI, auth: {',
    close: '}}]}',
    keys: ['passthrough', 'gcp', 'aws', 'jwtSign'],
  },
  {
    place: 'llm.models[0].guardrails.request[0]',
    open: 'llm: {models: [{name: a, provider: openAI, guardrails: {request: [{',
    close: '}]}}]}',
    keys: ['bedrockGuardrails', 'googleModelArmor'],
  },
  {
    place: 'mcp.policies',
    open: 'mcp: {targets: [{name: a, stdio: {cmd: a}}], policies: {',
    close: '}}',
    keys: ['mcpGuardrails', 'oidc', 'remoteRateLimit'],
  },
  {
    place: 'mcp.targets[0].policies',
    open: 'mcp: {targets: [{name: a, mcp: {host: "http://a"}, policies: {',
    close: '}}]}',
    keys: ['transformations', 'backendTunnel', 'mcpGuardrails'],
  },
  {
    place: 'config.logging',
    open: 'config: {logging: {',
    close: '}}',
    keys: ['database'],
  },
  {
    place: 'frontendPolicies',
    open: 'frontendPolicies: {',
    close: '}',
    keys: ['tls', 'tcp', 'networkAuthorization', 'networkExtAuthz', 'proxyProtocol', 'connect'],
  },
  {
    place: 'frontendPolicies.http',
    open: 'frontendPolicies: {http: {',
    close: '}}',
    keys: [
      'http1MaxHeaders',
      'http1HeaderCase',
      'http2WindowSize',
      'http2KeepaliveTimeout',
      'maxConnectionDuration',
    ],
  },
  ...['accessLog', 'logging'].flatMap((key) => [
    {
      place: `frontendPolicies.${key}`,
      open: `frontendPolicies: {${key}: {`,
      close: '}}',
      keys: ['otlp'],
    },
  ]),
  {
    place: 'frontendPolicies.tracing',
    open: 'frontendPolicies: {tracing: {',
    close: '}}',
    keys: ['service', 'backend', 'policies'],
  },
  { place: 'binds[0]', open: 'binds: [{listeners: [{}], ', close: '}]', keys: ['tunnelProtocol', 'mode'] },
  {
    place: 'binds[0].listeners[0]',
    open: 'binds: [{port: 1, listeners: [{',
    close: '}]}]',
    keys: ['tcpRoutes', 'policies', 'namespace'],
  },
  {
    place: 'binds[0].listeners[0].tls',
    open: 'binds: [{port: 1, listeners: [{protocol: HTTPS, tls: {',
    close: '}}]}]',
    keys: ['mode', 'root', 'spiffe', 'cipherSuites', 'minTLSVersion', 'maxTLSVersion', 'keyExchangeGroups'],
  },
  {
    place: `${ROUTE}.policies`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {',
    close: '}}]}]}]',
    keys: [
      ...['requestMirror', 'oidc', 'mcpGuardrails', 'extProc', 'remoteRateLimit'],
      ...['backendTunnel', 'a2a'],
    ],
  },
  ...['request', 'response'].flatMap((phase) => [
    {
      place: `${ROUTE}.policies.transformations.${phase}`,
      open: `binds: [{port: 1, listeners: [{routes: [{policies: {transformations: {${phase}: {`,
      close: '}}}}]}]}]',
      keys: ['replace', ...(phase === 'response' ? ['body', 'metadata'] : [])],
    },
    ...['add', 'set'].map((change) => ({
      place: `${ROUTE}.policies.transformations.${phase}.${change}`,
      open: `binds: [{port: 1, listeners: [{routes: [{policies: {transformations: {${phase}: {${change}: {`,
      close: '}}}}}]}]}]',
      keys: [':method', ':scheme', ':status'],
    })),
  ]),
  {
    place: `${ROUTE}.policies.extAuthz`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {extAuthz: {',
    close: '}}}]}]}]',
    keys: ['service', 'backend', 'includeRequestBody', 'policies'],
  },
  {
    place: `${ROUTE}.policies.extAuthz.protocol`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {extAuthz: {host: "a:1", protocol: {',
    close: '}}}}]}]}]',
    keys: ['grpc'],
  },
  {
    place: `${ROUTE}.policies.extAuthz.protocol.http`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {extAuthz: {host: "a:1", protocol: {http: {',
    close: '}}}}}]}]}]',
    keys: ['body', 'metadata'],
  },
  {
    place: `${ROUTE}.policies.buffer`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {buffer: {',
    close: '}}}]}]}]',
    keys: ['response'],
  },
  {
    place: `${ROUTE}.policies.extAuthz.conditional[0]`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {extAuthz: {conditional: [{',
    close: '}]}}}]}]}]',
    keys: ['service', 'backend', 'includeRequestBody', 'policies'],
  },
  {
    place: `${ROUTE}.policies.ai`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {ai: {',
    close: '}}}]}]}]',
    keys: ['transformations', 'finalTransformations', 'promptCaching'],
  },
  ...['request', 'response'].map((phase) => ({
    place: `${ROUTE}.policies.ai.promptGuard.${phase}[0]`,
    open: `binds: [{port: 1, listeners: [{routes: [{policies: {ai: {promptGuard: {${phase}: [{`,
    close: '}]}}}}]}]}]',
    keys: ['bedrockGuardrails', 'googleModelArmor', 'azureContentSafety'],
  })),
  {
    place: `${ROUTE}.policies.ai.promptGuard.request[0].webhook.headers`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {ai: {promptGuard: {request: [{webhook: {target: {host: "a:1"}, headers: {',
    close: '}}}]}}}}]}]}]',
    keys: [':method', ':scheme', ':authority', ':path'],
  },
  {
    place: `${ROUTE}.policies.ai.promptGuard.request[0].webhook.target`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {ai: {promptGuard: {request: [{webhook: {target: {',
    close: '}}}]}}}}]}]}]',
    keys: ['service'],
  },
  {
    place: `${ROUTE}.policies.ai.promptGuard.request[0].openAIModeration.policies`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {ai: {promptGuard: {request: [{openAIModeration: {policies: {',
    close: '}}}]}}}}]}]}]',
    keys: ['requestHeaderModifier', 'responseHeaderModifier', 'http', 'tcp', 'backendTunnel'],
  },
  {
    place: `${ROUTE}.policies.backendAuth`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {backendAuth: {',
    close: '}}}]}]}]',
    keys: [
      'passthrough',
      'gcp',
      'aws',
      'azure',
      'copilot',
      'jwtSign',
      'oauthTokenExchange',
      'crossAppAccess',
      'credentials',
    ],
  },
  {
    place: `${ROUTE}.policies.backendAuth.key.location`,
    open: 'binds: [{port: 1, listeners: [{routes: [{policies: {backendAuth: {key: {value: x, location: {',
    close: '}}}}}]}]}]',
    keys: ['queryParameter', 'cookie', 'expression'],
  },
  {
    place: `${ROUTE}.backends[0]`,
    open: 'binds: [{port: 1, listeners: [{routes: [{backends: [{',
    close: '}]}]}]}]',
    keys: ['service', 'aws', 'internal', 'dynamic', 'routeGroup', 'invalid'],
  },
  {
    place: 'backends[0].policies',
    open: 'backends: [{name: a, host: "h:1", policies: {',
    close: '}}]',
    keys: [
      ...['requestRedirect', 'transformations', 'backendTunnel', 'extAuthz', 'authorization'],
      ...['mcpGuardrails', 'a2a', 'inferenceRouting', 'sessionAffinity'],
    ],
  },
  {
    place: 'backends[0].ai.policies.http',
    open: 'backends: [{name: a, ai: {name: a, provider: {openAI: {}}, policies: {http: {',
    close: '}}}}]',
    keys: ['version'],
  },
  {
    place: 'backends[0].ai.policies.tcp',
    open: 'backends: [{name: a, ai: {name: a, provider: {openAI: {}}, policies: {tcp: {',
    close: '}}}}]',
    keys: ['keepalives'],
  },
  {
    place: 'backends[0].policies.backendTLS',
    open: 'backends: [{name: a, host: "h:1", policies: {backendTLS: {',
    close: '}}}]',
    keys: ['subjectAltNames', 'keyExchangeGroups'],
  },
  {
    place: 'backends[0].ai.groups[0].providers[0].provider',
    open: 'backends: [{name: a, ai: {groups: [{providers: [{name: a, provider: {',
    close: '}}]}]}}]',
    keys: ['gemini', 'bedrock'],
  },
  {
    place: 'backends[0].policies.health.eviction',
    open: 'backends: [{name: a, host: "h:1", policies: {health: {eviction: {',
    close: '}}}}]',
    keys: ['restoreHealth', 'healthThreshold'],
  },
  {
    place: 'backends[0].ai.provider',
    open: 'backends: [{name: a, ai: {name: a, provider: {',
    close: '}}}]',
    keys: ['gemini', 'vertex', 'bedrock', 'azure', 'azureOpenAI', 'copilot'],
  },
  {
    place: 'backends[0].ai.provider.openAI',
    open: 'backends: [{name: a, ai: {name: a, provider: {openAI: {',
    close: '}}}}]',
    keys: ['moderation'],
  },
]

describe('refuses by name, and says nothing else', () => {
  test.each(PLACES.flatMap(({ keys, ...place }) => keys.map((key) => ({ ...place, key }))))(
    '$place $key',
    ({ place, open, close, key }) => {
      expect(problems(`${open}${key}: {}${close}`)).toEqual([
        {
          file: 'gateway.yaml',
          line: 1,
          column: open.length + 1,
          path: place === '' ? key : place + (key.startsWith(':') ? `["${key}"]` : `.${key}`),
          message: `\`${key}\` is not supported by this version`,
          ...(problems(`${open}${key}: {}${close}`)[0]?.hint !== undefined && { hint: expect.any(String) }),
        },
      ])
    },
  )

  const ai = 'backends: [{name: a, ai: {name: a, hostOverride: "h:1", provider: '
  test.each([
    ...['hybrid', 'readOnly'].map(
      (word) => ['config.storage.mode', 'config: {storage: {mode: ', word, '}}'] as const,
    ),
    ...['native', 'both'].map((word) => ['config.histograms', 'config: {histograms: ', word, '}'] as const),
    ...['TCP', 'TLS', 'HBONE'].map(
      (word) =>
        [
          'binds[0].listeners[0].protocol',
          'binds: [{port: 1, listeners: [{protocol: ',
          word,
          '}]}]',
        ] as const,
    ),
    ['config.adminAddr', 'config: {adminAddr: ', 'unix:/run/x', '}'] as const,
    ['backends[0].host', 'backends: [{name: a, host: ', 'unix:/run/x', '}]'] as const,
    [
      'backends[0].policies.backendAuth',
      'backends: [{name: a, host: "h:1", policies: {backendAuth: ',
      'copilot',
      '}}]',
    ] as const,
    ['gateways.a.protocol', 'gateways: {a: {port: 1, protocol: ', 'TCP', '}}'] as const,
    ...['gemini', 'vertex', 'bedrock', 'azure', 'copilot'].map(
      (word) => ['llm.models[0].provider', 'llm: {models: [{name: a, provider: ', word, '}]}'] as const,
    ),
    ...['rerank', 'realtime', 'generateContent', 'geminiCountTokens'].flatMap((word) => [
      ['backends[0].ai.routes["/x"]', `${ai}{openAI: {}}, routes: {/x: `, word, '}}}]'] as const,
      [
        'backends[0].ai.policies.ai.routes["*"]',
        `${ai}{openAI: {}}, policies: {ai: {routes: {"*": `,
        word,
        '}}}}}]',
      ] as const,
      [
        'backends[0].ai.provider.custom.formats[0].type',
        `${ai}{custom: {formats: [{type: `,
        word,
        '}]}}}}]',
      ] as const,
    ]),
  ])('%s: %s%s', (path, open, word, close) => {
    expect(problems(open + word + close)).toMatchObject([
      { line: 1, column: open.length + 1, path, message: `\`${word}\` is not supported by this version` },
    ])
  })
})

test('says where the settings of `config.listener` went', () => {
  expect(problems('config: {listener: {}}')).toMatchObject([
    {
      column: 10,
      path: 'config.listener',
      message: expect.stringContaining('renamed: its settings belong to `frontendPolicies`'),
    },
  ])
})

test.each(['cors', 'retry', 'timeout', 'urlRewrite', 'directResponse'])(
  'says that %s is a policy of routes',
  (key) => {
    expect(problems(`backends: [{name: a, host: "h:1", policies: {${key}: {}}}]`)).toMatchObject([
      {
        path: `backends[0].policies.${key}`,
        message: `\`${key}\` is a policy of routes: it has no place on a backend`,
      },
    ])
  },
)

test('leaves free names alone', () => {
  const text =
    'config: {tracing: {headers: {gateways: a}}}\nbackends: [{name: a, ai: {name: a, provider: {openAI: {}}, policies: {ai: {defaults: {policies: {mcp: copilot}, routes: {x: rerank}}, modelAliases: {rerank: realtime}}}}}]'
  expect(problems(text)).toEqual([])
})
