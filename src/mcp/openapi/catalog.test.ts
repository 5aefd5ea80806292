import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { openApiCatalog } from './catalog.ts'
import { documentOf, PETSTORE } from './petstore.fixture.ts'
import { OpenApiProblem } from './problem.ts'

const toolsOf = (paths: object, more: object = {}) => openApiCatalog(documentOf(paths, more)).tools

describe('the petstore', () => {
  const header = {
    type: 'object',
    properties: { 'X-Trace': { type: 'string' } },
    additionalProperties: false,
  }
  const path = {
    type: 'object',
    properties: { petId: { type: 'string' } },
    required: ['petId'],
    additionalProperties: false,
  }
  const tag = { type: ['string', 'null'], enum: ['a', 'b', null] }
  const pet = (friend: object) => ({
    type: 'object',
    properties: {
      id: { type: 'integer', readOnly: true },
      name: { type: 'string', examples: ['Rex'] },
      tag,
      friends: { type: 'array', items: friend },
    },
    required: ['name'],
  })
  const tools = [
    {
      name: 'listPets',
      title: 'List the pets',
      description: 'List the pets',
      annotations: { readOnlyHint: true, idempotentHint: true },
      inputSchema: {
        type: 'object',
        properties: {
          query: {
            type: 'object',
            properties: {
              limit: { type: 'integer', exclusiveMaximum: 100, description: 'At most this many' },
              tag: { type: 'array', items: { type: ['string', 'null'] } },
            },
            required: ['limit'],
            additionalProperties: false,
          },
          header,
        },
        required: ['query'],
        additionalProperties: false,
      },
    },
    {
      name: 'addPet',
      description: 'Adds a pet.',
      inputSchema: {
        type: 'object',
        properties: { header, body: { ...pet({ $ref: '#/$defs/Pet' }), description: 'The pet' } },
        required: ['body'],
        additionalProperties: false,
        $defs: { Pet: pet({ $ref: '#/$defs/Pet' }) },
      },
    },
    {
      name: 'getPet',
      description: 'getPet',
      annotations: { readOnlyHint: true, idempotentHint: true },
      inputSchema: {
        type: 'object',
        properties: { path },
        required: ['path'],
        additionalProperties: false,
      },
    },
    {
      name: 'putPhoto',
      description: 'putPhoto',
      annotations: { idempotentHint: true },
      inputSchema: {
        type: 'object',
        properties: {
          path,
          body: {
            type: 'string',
            contentEncoding: 'base64',
            contentMediaType: 'application/octet-stream',
          },
        },
        required: ['path'],
        additionalProperties: false,
      },
    },
    {
      name: 'deletePet',
      description: 'deletePet',
      annotations: { destructiveHint: true, idempotentHint: true },
      inputSchema: {
        type: 'object',
        properties: { path },
        required: ['path'],
        additionalProperties: false,
      },
    },
  ]

  test.each([
    { name: 'it becomes tools from YAML', text: PETSTORE },
    { name: 'it becomes the same tools from JSON', text: JSON.stringify(parse(PETSTORE)) },
    { name: 'it becomes the same tools after a byte order mark', text: `\ufeff${PETSTORE}` },
  ])('$name', ({ text }) => {
    const catalog = openApiCatalog(text)
    const byName = new Map(catalog.tools.map((tool) => [tool.name, tool]))
    for (const tool of tools) expect(byName.get(tool.name)).toEqual(tool)
    expect(catalog.tools).toHaveLength(tools.length)
  })

  test('it is called below the path of its server', () => {
    const call = openApiCatalog(PETSTORE).call('getPet', { path: { petId: 7 } })
    expect(call).toEqual({
      method: 'GET',
      path: '/api/v1/pets/7',
      headers: { accept: 'application/json' },
      body: null,
    })
  })

  test.each(['nothing', 'constructor', '__proto__'])('it has no tool %s', (name) => {
    expect(openApiCatalog(PETSTORE).call(name, {})).toBeUndefined()
  })
})

describe('a title', () => {
  test.each([
    { name: 'it is the summary', summary: 'Short', title: 'Short' },
    { name: 'it may have 64 bytes', summary: 'x'.repeat(64), title: 'x'.repeat(64) },
    { name: 'it is cut after 64 bytes', summary: 'x'.repeat(65), title: 'x'.repeat(64) },
    {
      name: 'it is cut before a character that would not fit',
      summary: `${'x'.repeat(63)}é`,
      title: 'x'.repeat(63),
    },
    { name: 'it never has half an emoji', summary: `${'x'.repeat(61)}😀`, title: 'x'.repeat(61) },
    { name: 'it is left out without a summary', summary: '', title: undefined },
  ])('$name', ({ summary, title }) => {
    const [tool] = toolsOf({ '/': { get: { operationId: 'a', summary, description: 'Long' } } })
    expect(tool?.title).toBe(title)
    expect(tool?.description).toBe('Long')
  })
})

test('it has a tool without arguments', () => {
  const [tool] = toolsOf({ '/': { post: { operationId: 'a' } }, 'x-note': 'ours' })
  expect(tool).toEqual({
    name: 'a',
    description: 'a',
    inputSchema: { type: 'object', properties: {}, additionalProperties: false },
  })
})

describe('a document that cannot become tools', () => {
  const get = (operation: object) => ({ '/pets': { get: { operationId: 'a', ...operation } } })
  test.each<{ name: string; text: string; message: string | RegExp }>([
    {
      name: 'an operation without operationId',
      text: documentOf({ '/pets/{id}': { get: { summary: 'x' } } }),
      message: 'GET /pets/{id} at #/paths/~1pets~1{id}/get: has no operationId: add one',
    },
    {
      name: 'an operationId that is no text',
      text: documentOf({ '/a': { get: { operationId: 7 } } }),
      message: 'GET /a at #/paths/~1a/get/operationId: expected string, received number',
    },
    {
      name: 'the same operationId twice',
      text: documentOf({ '/a': { get: { operationId: 'x' } }, '/b': { put: { operationId: 'x' } } }),
      message:
        'PUT /b at #/paths/~1b/put: the operationId `x` is already that of GET /a at #/paths/~1a/get: change one',
    },
    {
      name: 'a cookie parameter of an operation',
      text: documentOf(get({ parameters: [{ name: 'sid', in: 'cookie', schema: {} }] })),
      message: 'get/parameters/0: the cookie parameter `sid` is not supported',
    },
    {
      name: 'a parameter with content',
      text: documentOf(
        get({ parameters: [{ name: 'q', in: 'query', content: { 'application/json': {} } }] }),
      ),
      message: 'parameters/0: `q` has `content`, which is not supported: use `schema`',
    },
    {
      name: 'a parameter without a schema',
      text: documentOf(get({ parameters: [{ name: 'q', in: 'query' }] })),
      message: '`q` has no `schema`: add one',
    },
    {
      name: 'a parameter in the body, as in Swagger 2.0',
      text: documentOf(get({ parameters: [{ name: 'q', in: 'body', schema: {} }] })),
      message: 'parameters/0/in: has to be path, query, header or cookie',
    },
    {
      name: 'a header with a name that cannot be',
      text: documentOf(get({ parameters: [{ name: 'a b', in: 'header', schema: {} }] })),
      message: '`a b` is not a header name',
    },
    {
      name: 'a path parameter that is not declared',
      text: documentOf({ '/pets/{id}': { get: { operationId: 'a' } } }),
      message: '`{id}` of the path is not among the path parameters: declare it',
    },
    {
      name: 'a reference out of the document',
      text: documentOf(get({ requestBody: { $ref: 'https://evil.example/x.yaml' } })),
      message: '`$ref: https://evil.example/x.yaml` is not supported: only `#/components/…` is',
    },
    {
      name: 'a reference to nothing',
      text: documentOf(get({ parameters: [{ $ref: '#/components/parameters/constructor' }] }), {
        components: { parameters: {} },
      }),
      message: '`$ref: #/components/parameters/constructor` leads nowhere',
    },
    {
      name: 'a parameter that is a reference to itself',
      text: documentOf(get({ parameters: [{ $ref: '#/components/parameters/A' }] }), {
        components: { parameters: { A: { $ref: '#/components/parameters/A' } } },
      }),
      message: 'leads back to itself',
    },
    {
      name: 'two servers',
      text: documentOf({}, { servers: [{ url: '/a' }, { url: '/b' }] }).replace(
        '{}',
        '{"/":{"get":{"operationId":"a"}}}',
      ),
      message: '#/servers: lists more than one server',
    },
    { name: 'no paths', text: '{"openapi":"3.1.0"}', message: '#/paths: has to be an object' },
    {
      name: 'Swagger 2.0',
      text: "swagger: '2.0'",
      message: '#/swagger: Swagger 2.0 is not supported: convert',
    },
    { name: 'no version', text: 'paths: {}', message: '#/openapi: has to be 3.0.x or 3.1.x' },
    { name: 'another version', text: 'openapi: 30.0.0', message: '#/openapi: has to be 3.0.x or 3.1.x' },
    { name: 'no object', text: '[1]', message: '#: is not an OpenAPI document' },
    { name: 'nothing', text: '', message: '#: is not an OpenAPI document' },
    { name: 'broken JSON', text: '{"openapi": "3.0.0",\n "paths": {]}', message: /^line 2: / },
    { name: 'broken YAML', text: 'openapi: 3.0.0\npaths: [', message: /^line \d+: / },
    { name: 'two documents', text: 'openapi: 3.0.0\n---\na: 1', message: /^line [23]: a second document/ },
    {
      name: 'a key twice',
      text: 'openapi: 3.0.0\npaths: {}\npaths: {}',
      message: 'line 3: `paths` is here twice',
    },
    { name: 'a key that is a list', text: 'openapi: 3.0.0\n? [a]\n: 1', message: 'a key has to be text' },
    {
      name: 'an alias without an anchor',
      text: 'openapi: 3.0.0\npaths: *nowhere',
      message: /Unresolved alias/,
    },
  ])('it says so: $name', ({ text, message }) => {
    expect(() => openApiCatalog(text)).toThrow(message)
    expect(() => openApiCatalog(text)).toThrow(OpenApiProblem)
  })

  const aliases = (levels: number) =>
    Array.from({ length: levels }, (_, i) => `x${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`)
  const chain = (length: number) =>
    Object.fromEntries(
      Array.from({ length }, (_, i) => [`A${i}`, { $ref: `#/components/schemas/A${i + 1}` }]),
    )
  test.each<{ name: string; text: () => string; message: string | RegExp }>([
    { name: 'more than 10 MB', text: () => ' '.repeat(10_000_001), message: 'is larger than 10 MB' },
    {
      name: 'aliases that stand for billions of values',
      text: () => ['openapi: 3.0.0', 'x0: &a0 [1,1,1,1,1,1,1,1,1]', ...aliases(12)].join('\n'),
      message: /Excessive alias count|more than 2,000,000 values/,
    },
    {
      name: 'aliases that stand for millions of values',
      text: () =>
        [
          'openapi: 3.0.0',
          'x0: &a0 [1,1,1,1,1,1,1,1,1]',
          ...aliases(2),
          `y: [${Array(3000).fill('[1]').join()}]`,
          `z: &z [${Array(9e4).fill(1)}]`,
          `w: [${Array(30).fill('*z')}]`,
        ].join('\n'),
      message: 'more than 2,000,000 values',
    },
    { name: 'a value within itself', text: () => 'openapi: 3.0.0\nx: &x [*x]', message: 'contains itself' },
    {
      name: 'deep JSON',
      text: () => `{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`,
      message: 'nested more than',
    },
    { name: 'deep YAML', text: () => `a: ${'['.repeat(1e5)}`, message: /nested too deeply|call stack/ },
    {
      name: 'more than 2,000 operations',
      text: () =>
        documentOf(
          Object.fromEntries(
            Array.from({ length: 2001 }, (_, i) => [`/${i}`, { get: { operationId: `a${i}` } }]),
          ),
        ),
      message: '#/paths: has more than 2,000 operations',
    },
    {
      name: 'a long chain of references',
      text: () =>
        documentOf(
          get({
            requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/A0' } } } },
          }),
          {
            components: { schemas: { ...chain(50_000), A50000: {} } },
          },
        ),
      message: 'a chain of more than 100 references',
    },
    {
      name: 'one large text for many tools',
      text: () =>
        documentOf(
          Object.fromEntries(
            Array.from({ length: 100 }, (_, i) => [
              `/${i}`,
              { get: { operationId: `a${i}`, parameters: [{ $ref: '#/components/parameters/A' }] } },
            ]),
          ),
          {
            components: {
              parameters: { A: { name: 'a', in: 'query', schema: {}, description: 'x'.repeat(1e6) } },
            },
          },
        ),
      message: 'makes tools of more than 32 MB',
    },
  ])('it is refused before it does harm: $name', ({ text, message }) => {
    const startedAt = performance.now()
    expect(() => openApiCatalog(text())).toThrow(message)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test('it does not compare each key with each', () => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `  /${i}: {}`)
    const startedAt = performance.now()
    expect(openApiCatalog(`openapi: 3.0.0\npaths:\n${lines.join('\n')}`).tools).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })
})
