import { expect, test } from 'vitest'
import { loadConfig } from './load.ts'
import { staticChanges } from './static-changes.ts'

function read(text: string) {
  const loaded = loadConfig({ text, file: 'gateway.yaml', environment: {} })
  return loaded.ok ? loaded.config : expect.unreachable(JSON.stringify(loaded.problems))
}

test.each<{ name: string; running: string; next: string; changed: string[] }>([
  { name: 'nothing', running: '{}', next: 'config: {}', changed: [] },
  {
    name: 'routes and policies',
    running: 'binds: [{port: 1, listeners: [{routes: []}]}]',
    next: '{binds: [{port: 2, listeners: [{routes: []}]}], frontendPolicies: {accessLog: {database: {llm: full}}}}',
    changed: [],
  },
  {
    name: 'prices, headers that are hidden, and what has no effect',
    running: '{}',
    next: 'config: {modelCatalog: [{inline: {}}], sensitiveHeaders: [x], histograms: classic, network: n}',
    changed: [],
  },
  {
    name: 'an address, which is one value',
    running: 'config: {adminAddr: "localhost:1"}',
    next: 'config: {adminAddr: "localhost:2"}',
    changed: ['config.adminAddr'],
  },
  {
    name: 'several at once',
    running: 'config: {database: {url: a.db, retention: {age: 1d}}, adminToken: sixteen-and-more}',
    next: 'config: {database: {url: b.db, retention: {age: 2d, size: 1GB}}}',
    changed: [
      'config.adminToken',
      'config.database.url',
      'config.database.retention.age',
      'config.database.retention.size',
    ],
  },
  {
    name: 'lists, whole',
    running: 'config: {metrics: {remove: [a]}}',
    next: 'config: {metrics: {remove: [a, b]}}',
    changed: ['config.metrics.remove'],
  },
  {
    name: 'expressions, which are exchanged',
    running:
      'config: {tracing: {otlpEndpoint: "h:1", randomSampling: 1}, metrics: {fields: {add: {team: "jwt.a"}}}}',
    next: `
config:
  tracing: {otlpEndpoint: "h:1", randomSampling: 'true || false', clientSampling: 0, fields: {add: {a: '1'}, remove: [b]}}
  metrics: {fields: {add: {team: jwt.b}}}
  logging: {filter: 'true', fields: {add: {a: '1'}, remove: [b]}}
  standardAttributes: {user: jwt.a}`,
    changed: [],
  },
  {
    name: 'labels that come and go',
    running: 'config: {metrics: {fields: {add: {a: "jwt.a", b: "jwt.b"}}}}',
    next: 'config: {metrics: {fields: {add: {b: "jwt.x", c: "jwt.c"}}}}',
    changed: ['config.metrics.fields.add.a', 'config.metrics.fields.add.c'],
  },
  {
    name: 'of tracing’s newer form what is not exchanged',
    running: 'frontendPolicies: {tracing: {host: "h:1"}}',
    next: `
frontendPolicies:
  tracing: {host: "h:1", attributes: {a: '1'}, remove: [b], filter: 'true', randomSampling: 1, resources: {a: '"1"'}}`,
    changed: ['frontendPolicies.tracing.resources.a'],
  },
  {
    name: 'of the policies for every port',
    running: 'frontendPolicies: {http: {maxBufferSize: 1}}',
    next: 'frontendPolicies: {http: {maxBufferSize: 2}, tracing: {host: "h:1"}}',
    changed: ['frontendPolicies.http.maxBufferSize', 'frontendPolicies.tracing.host'],
  },
])('it finds $name', ({ running, next, changed }) => {
  expect(staticChanges(read(running), read(next))).toEqual(changed)
})
