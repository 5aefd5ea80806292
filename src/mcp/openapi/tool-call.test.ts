import { describe, expect, test } from 'vitest'
import { openApiCatalog } from './catalog.ts'
import type { JsonObject } from './json.ts'
import { documentOf, PETSTORE } from './petstore.fixture.ts'
import { OpenApiArgumentError } from './problem.ts'

const parameter = (place: string, name: string, more: object = {}) => ({
  in: place,
  name,
  schema: {},
  ...more,
})

const catalog = openApiCatalog(
  documentOf({
    '/files/{name}.{ext}/é/..{tail}': {
      get: {
        operationId: 'mixed',
        parameters: ['name', 'ext', 'tail'].map((name) => parameter('path', name)),
      },
    },
    '/files/{name}': {
      post: {
        operationId: 'call',
        parameters: [
          parameter('path', 'name'),
          parameter('query', 'q'),
          parameter('query', 'filter[a b]'),
          parameter('query', 'csv', { explode: false }),
          parameter('query', 'pipes', { style: 'pipeDelimited' }),
          parameter('query', 'constructor'),
          parameter('header', 'X-Team'),
          parameter('header', 'authorization'),
        ],
        requestBody: { content: { 'Application/JSON; charset=utf-8': { schema: {} } } },
      },
    },
    '/strict': {
      get: {
        operationId: 'strict',
        parameters: [
          parameter('query', 'limit', { required: true }),
          parameter('header', 'X-Team', { required: true }),
        ],
      },
    },
    '/patch': {
      patch: {
        operationId: 'patch',
        requestBody: {
          required: true,
          content: { 'text/plain': {}, 'application/merge-patch+json': { schema: {} } },
        },
      },
    },
    '/form': { post: { operationId: 'form', requestBody: { required: true, content: { 'text/csv': {} } } } },
  }),
)

const call = (args: JsonObject, tool = 'call') => catalog.call(tool, args)
const withName = (args: JsonObject) => call({ path: { name: 'n' }, ...args })

describe('a path', () => {
  test.each<{ name: string; value: unknown; path: string }>([
    { name: 'text', value: 'a', path: '/files/a' },
    { name: 'a number', value: -1.5, path: '/files/-1.5' },
    { name: 'a boolean', value: false, path: '/files/false' },
    { name: 'a slash', value: 'a/b', path: '/files/a%2Fb' },
    { name: 'a query', value: 'a?b=c#d', path: '/files/a%3Fb%3Dc%23d' },
    { name: 'a line break', value: 'a\r\nHost: b', path: '/files/a%0D%0AHost%3A%20b' },
    { name: 'any language', value: 'é😀', path: '/files/%C3%A9%F0%9F%98%80' },
    { name: 'what is encoded already', value: '%2e%2e', path: '/files/%252e%252e' },
    { name: 'three dots', value: '...', path: '/files/...' },
    { name: 'parameter syntax', value: ';x={y}', path: '/files/%3Bx%3D%7By%7D' },
  ])('it encodes $name', ({ value, path }) => {
    expect(call({ path: { name: value } })?.path).toBe(path)
  })

  test('it has literals and several values in a segment', () => {
    expect(call({ path: { name: '.', ext: 'txt', tail: 'x' } }, 'mixed')?.path).toBe(
      '/files/..txt/%C3%A9/..x',
    )
  })

  test.each<{ name: string; value: unknown }>([
    { name: 'nothing', value: '' },
    { name: 'a dot', value: '.' },
    { name: 'two dots', value: '..' },
    { name: 'dots before a slash', value: '../admin' },
    { name: 'dots between slashes', value: 'a/../admin' },
    { name: 'dots and backslashes', value: '..\\admin' },
    { name: 'an object', value: { a: 1 } },
    { name: 'a list', value: ['a'] },
    { name: 'null', value: null },
    { name: 'half a character', value: '\ud800' },
  ])('it refuses $name', ({ value }) => {
    expect(() => call({ path: { name: value } })).toThrow(OpenApiArgumentError)
    expect(() => call({ path: { name: value } })).toThrow('path.name')
  })

  test('it refuses what becomes dots beside literals', () => {
    expect(() => call({ path: { name: 'a', ext: 'b', tail: '/x' } }, 'mixed')).toThrow('path.tail')
  })
})

describe('a query', () => {
  test.each<{ name: string; query: JsonObject | null; expected: string }>([
    { name: 'text', query: { q: 'a b&c=d+é' }, expected: '?q=a%20b%26c%3Dd%2B%C3%A9' },
    { name: 'numbers and booleans', query: { q: [1, true] }, expected: '?q=1&q=true' },
    { name: 'an empty text', query: { q: '' }, expected: '?q=' },
    { name: 'null', query: { q: null }, expected: '?q' },
    { name: 'null in a list', query: { q: ['a', null] }, expected: '?q=a&q' },
    { name: 'an empty list', query: { q: [], csv: [] }, expected: '' },
    {
      name: 'any name',
      query: { 'filter[a b]': 1, constructor: 2 },
      expected: '?filter%5Ba%20b%5D=1&constructor=2',
    },
    { name: 'a list with commas', query: { csv: ['a,b', 'c'] }, expected: '?csv=a%2Cb,c' },
    { name: 'a list with pipes', query: { pipes: ['a', 'b'] }, expected: '?pipes=a%7Cb' },
    { name: 'no group', query: null, expected: '' },
  ])('it takes $name', ({ query, expected }) => {
    expect(withName({ query })?.path).toBe(`/files/n${expected}`)
  })

  test.each<{ name: string; query: unknown; message: string }>([
    {
      name: 'an object',
      query: { q: { a: 1 } },
      message: 'query.q has to be a string, a number or a boolean',
    },
    { name: 'a list of lists', query: { q: [['a']] }, message: 'query.q has to be' },
    { name: 'half a character', query: { q: '\udfff' }, message: 'query.q is not valid Unicode' },
    {
      name: 'another name',
      query: { p: 1 },
      message: 'query.p is not an argument of this tool: it takes query.q, ',
    },
    {
      name: '__proto__',
      query: JSON.parse('{"__proto__":1}'),
      message: 'query.__proto__ is not an argument',
    },
    { name: 'a list for a group', query: ['q'], message: 'query has to be an object' },
  ])('it refuses $name', ({ query, message }) => {
    expect(() => withName({ query })).toThrow(message)
    expect(() => withName({ query })).toThrow(OpenApiArgumentError)
  })
})

describe('headers', () => {
  test.each<{ name: string; value: unknown; sent: string | undefined }>([
    { name: 'text', value: 'a b', sent: 'a b' },
    { name: 'Latin-1', value: 'é', sent: 'é' },
    { name: 'a number', value: 1, sent: '1' },
    { name: 'a list', value: ['a', 2], sent: 'a,2' },
    { name: 'null for nothing', value: null, sent: undefined },
  ])('they take $name', ({ value, sent }) => {
    expect(withName({ header: { 'X-Team': value } })?.headers).toEqual({
      accept: 'application/json',
      ...(sent !== undefined && { 'x-team': sent }),
    })
  })

  test.each<{ name: string; header: JsonObject }>([
    { name: 'a line break', header: { 'X-Team': 'a\r\nx-admin: 1' } },
    { name: 'a line break in a list', header: { 'X-Team': ['a', '\n'] } },
    { name: 'a NUL', header: { 'X-Team': 'a\0' } },
    { name: 'what is not Latin-1', header: { 'X-Team': '€' } },
    { name: 'an object', header: { 'X-Team': {} } },
    { name: 'what is not declared', header: { 'X-Admin': '1' } },
    { name: 'credentials, declared or not', header: { authorization: 'Bearer x' } },
    { name: 'a length of the body', header: { 'content-length': '0' } },
    { name: 'a host', header: { host: 'evil.example' } },
  ])('they refuse $name', ({ header }) => {
    expect(() => withName({ header })).toThrow(OpenApiArgumentError)
    expect(() => withName({ header })).toThrow(`header.${Object.keys(header)[0]} `)
  })
})

describe('a body', () => {
  test.each<{ name: string; tool: string; args: JsonObject; body: string | null; type: string | undefined }>([
    {
      name: 'JSON',
      tool: 'call',
      args: { body: { a: ['é'] } },
      body: '{"a":["é"]}',
      type: 'application/json',
    },
    { name: 'false', tool: 'call', args: { body: false }, body: 'false', type: 'application/json' },
    { name: 'nothing', tool: 'call', args: {}, body: null, type: undefined },
    { name: 'null for nothing', tool: 'call', args: { body: null }, body: null, type: undefined },
    {
      name: 'null where one is required',
      tool: 'patch',
      args: { body: null },
      body: 'null',
      type: 'application/merge-patch+json',
    },
    { name: 'nothing where it could only be text', tool: 'form', args: {}, body: null, type: undefined },
  ])('it is $name', ({ tool, args, body, type }) => {
    const sent = call(tool === 'call' ? { path: { name: 'n' }, ...args } : args, tool)
    expect(sent?.body?.toString() ?? null).toBe(body)
    expect(sent?.headers['content-type']).toBe(type)
  })

  test('it is bytes from base64', () => {
    const pets = openApiCatalog(PETSTORE)
    const put = (body: unknown) => pets.call('putPhoto', { path: { petId: '1' }, body })
    expect(put('AP8=')?.body).toEqual(Buffer.from([0, 255]))
    expect(put('AP8=')?.headers['content-type']).toBe('application/octet-stream')
    for (const wrong of ['AP8', 'no base64', 7, {}])
      expect(() => put(wrong)).toThrow('body has to be a string of base64')
  })

  test('it is refused when it is too deep for JSON', () => {
    let body: unknown = 1
    for (let depth = 0; depth < 100_000; depth += 1) body = [body]
    expect(() => withName({ body })).toThrow('body is nested too deeply')
  })
})

describe('arguments', () => {
  test.each<{ name: string; tool: string; args: JsonObject; message: string }>([
    { name: 'a missing group', tool: 'strict', args: {}, message: 'query.limit is required' },
    {
      name: 'a missing header',
      tool: 'strict',
      args: { query: { limit: 1 } },
      message: 'header.X-Team is required',
    },
    {
      name: 'null for a required header',
      tool: 'strict',
      args: { query: { limit: 1 }, header: { 'X-Team': null } },
      message: 'header.X-Team is required',
    },
    { name: 'a missing path', tool: 'call', args: {}, message: 'path.name is required' },
    { name: 'a missing body', tool: 'patch', args: {}, message: 'body is required' },
    {
      name: 'a body that nobody takes',
      tool: 'form',
      args: { body: 'x' },
      message: 'body is not an argument',
    },
    {
      name: 'a group that nobody takes',
      tool: 'patch',
      args: { query: { a: 1 }, body: 1 },
      message: 'query.a is not an argument of this tool: it takes nothing in query',
    },
    {
      name: 'an argument outside its group',
      tool: 'strict',
      args: { limit: 1 },
      message: 'limit is not an argument of this tool: did you mean query.limit?',
    },
    {
      name: 'an argument of no group',
      tool: 'strict',
      args: { cookie: {} },
      message: 'use path, query, header and body',
    },
  ])('they are refused: $name', ({ tool, args, message }) => {
    expect(() => call(args, tool)).toThrow(message)
    expect(() => call(args, tool)).toThrow(OpenApiArgumentError)
  })

  test('they may have empty groups', () => {
    expect(call({ path: {}, query: null, body: 1 }, 'patch')?.path).toBe('/patch')
  })
})
