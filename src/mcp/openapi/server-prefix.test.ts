import { describe, expect, test } from 'vitest'
import { openApiCatalog } from './catalog.ts'
import { documentOf } from './petstore.fixture.ts'
import { serverPrefix } from './server-prefix.ts'

const prefixOf = (value: unknown) => serverPrefix({ value, place: '#/servers' })

describe('the server prefix', () => {
  test.each<{ name: string; servers: unknown; prefix: string }>([
    { name: 'nothing without servers', servers: undefined, prefix: '' },
    { name: 'nothing with an empty list', servers: [], prefix: '' },
    { name: 'the path of a URL', servers: [{ url: 'https://api.example.com/v1' }], prefix: '/v1' },
    { name: 'nothing for a URL without a path', servers: [{ url: 'https://api.example.com' }], prefix: '' },
    { name: 'without a slash at the end', servers: [{ url: 'https://api.example.com/v1//' }], prefix: '/v1' },
    { name: 'without query and fragment', servers: [{ url: 'https://a.example/v1?x=1#y' }], prefix: '/v1' },
    { name: 'a path', servers: [{ url: '/api/v2' }], prefix: '/api/v2' },
    { name: 'a relative path', servers: [{ url: 'api' }], prefix: '/api' },
    { name: 'nothing for the root', servers: [{ url: '/' }], prefix: '' },
    { name: 'without a host', servers: [{ url: '//evil.example/v1' }], prefix: '/v1' },
    {
      name: 'nothing that looks like a host',
      servers: [{ url: 'https://a.example//evil' }],
      prefix: '/evil',
    },
    { name: 'without dots', servers: [{ url: '/a/../../b/%2e%2e/c' }], prefix: '/c' },
    {
      name: 'with the defaults of its variables',
      servers: [
        {
          url: 'https://{host}/{base}/v{n}',
          variables: { host: { default: 'h' }, base: { default: 'a/b' }, n: { default: 2 } },
        },
      ],
      prefix: '/a/b/v2',
    },
  ])('it is $name', ({ servers, prefix }) => {
    expect(prefixOf(servers)).toBe(prefix)
  })

  test.each<{ name: string; servers: unknown; message: string }>([
    {
      name: 'two servers',
      servers: [{ url: '/a' }, { url: '/b' }],
      message: '#/servers: lists more than one',
    },
    {
      name: 'a variable without default',
      servers: [{ url: '/{x}' }],
      message: '#/servers/0/url: `{x}` has no default',
    },
    {
      name: 'another scheme',
      servers: [{ url: 'localhost:8080/v1' }],
      message: 'neither an http(s) URL nor',
    },
    { name: 'no URL', servers: [{ url: 'http://' }], message: 'neither an http(s) URL nor' },
    { name: 'encoded slashes and dots', servers: [{ url: '/a/..%2f..%2fb' }], message: 'segment of dots' },
    { name: 'no text', servers: [{ url: 1 }], message: '#/servers/0/url: expected string' },
    { name: 'no list', servers: {}, message: '#/servers: expected array' },
  ])('it is refused: $name', ({ servers, message }) => {
    expect(() => prefixOf(servers)).toThrow(message)
  })

  test('it is that of the nearest servers', () => {
    const servers = (url: string) => [{ url }]
    const text = documentOf(
      {
        '/a': { get: { operationId: 'a' } },
        '/b': {
          servers: servers('/path'),
          get: { operationId: 'b' },
          put: { operationId: 'c', servers: servers('/own') },
        },
      },
      { servers: servers('/root') },
    )
    const { call } = openApiCatalog(text)
    expect(['a', 'b', 'c'].map((name) => call(name, {})?.path)).toEqual(['/root/a', '/path/b', '/own/b'])
  })
})
