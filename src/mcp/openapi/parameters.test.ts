import { describe, expect, test } from 'vitest'
import { openApiCatalog } from './catalog.ts'
import { documentOf } from './petstore.fixture.ts'

interface Lists {
  readonly ofPath?: readonly object[]
  readonly ofOperation?: readonly object[]
}

function inputOf({ ofPath, ofOperation }: Lists, path = '/a') {
  const get = { operationId: 'a', parameters: ofOperation }
  return openApiCatalog(documentOf({ [path]: { parameters: ofPath, get } })).tools[0]?.inputSchema
}

const group = (properties: object, required?: string[]) => ({
  type: 'object',
  properties,
  ...(required && { required }),
  additionalProperties: false,
})

describe('parameters', () => {
  test.each<Lists & { name: string; properties: object; path?: string }>([
    {
      name: 'they are those of the path and of the operation',
      ofPath: [{ name: 'a', in: 'query', schema: { type: 'string' } }],
      ofOperation: [{ name: 'b', in: 'query', schema: { type: 'string' } }],
      properties: { query: group({ a: { type: 'string' }, b: { type: 'string' } }) },
    },
    {
      name: 'those of the operation win',
      ofPath: [{ name: 'a', in: 'query', required: true, content: {} }],
      ofOperation: [{ name: 'a', in: 'query', schema: { type: 'integer' } }],
      properties: { query: group({ a: { type: 'integer' } }) },
    },
    {
      name: 'those of the operation win whatever the case of a header',
      ofPath: [{ name: 'X-Team', in: 'header', schema: { type: 'string' } }],
      ofOperation: [{ name: 'x-team', in: 'header', schema: { type: 'integer' } }],
      properties: { header: group({ 'x-team': { type: 'integer' } }) },
    },
    {
      name: 'the case of a query parameter tells them apart',
      ofPath: [{ name: 'A', in: 'query', schema: {} }],
      ofOperation: [{ name: 'a', in: 'query', schema: {} }],
      properties: { query: group({ A: {}, a: {} }) },
    },
    {
      name: 'the same name may stand in several places',
      ofOperation: ['query', 'header'].map((place) => ({ name: 'a', in: place, schema: {} })),
      properties: { query: group({ a: {} }), header: group({ a: {} }) },
    },
    {
      name: 'cookies of the path are ignored',
      ofPath: [{ name: 'sid', in: 'cookie', schema: {}, required: true }],
      properties: {},
    },
    {
      name: 'headers that belong to the sender are ignored',
      ofOperation: [
        'Accept',
        'Authorization',
        'Content-Type',
        'Host',
        'Connection',
        'content-length',
        'Cookie',
      ].map((name) => ({ name, in: 'header', schema: {}, required: true })),
      properties: {},
    },
    {
      name: 'a path parameter is always required',
      path: '/a/{id}',
      ofOperation: [{ name: 'id', in: 'path', schema: {}, description: 'Which' }],
      properties: { path: group({ id: { description: 'Which' } }, ['id']) },
    },
    {
      name: 'a path parameter without a place in the path is left out',
      ofOperation: [{ name: 'id', in: 'path', schema: {}, required: true }],
      properties: {},
    },
  ])('$name', ({ ofPath, ofOperation, properties, path }) => {
    expect(inputOf({ ofPath, ofOperation }, path)?.properties).toEqual(properties)
  })

  test('a group is required when a member is', () => {
    const required = (value: boolean) =>
      inputOf({ ofOperation: [{ name: 'a', in: 'query', schema: {}, required: value }] })?.required
    expect(required(true)).toEqual(['query'])
    expect(required(false)).toBeUndefined()
  })
})

describe('the path item', () => {
  test('it may be a reference', () => {
    const pathItems = { A: { get: { operationId: 'a' } } }
    const text = documentOf({ '/a': { $ref: '#/components/pathItems/A' } }, { components: { pathItems } })
    expect(openApiCatalog(text).call('a', {})?.path).toBe('/a')
  })

  test.each([
    { name: 'a query', path: '/a?b=c', message: /no path can have/ },
    { name: 'a line break', path: '/a\r\nX: y', message: /no path can have/ },
    { name: 'half a pair of braces', path: '/a/{b', message: /brace/ },
    { name: 'dots', path: '/a/../b', message: /segment of dots/ },
    { name: 'encoded dots', path: '/a/%2E%2e%2fb', message: /segment of dots/ },
  ])('it is refused with $name in its path', ({ path, message }) => {
    expect(() => inputOf({}, path)).toThrow(message)
  })
})
