import { describe, expect, test } from 'vitest'
import {
  joinUri,
  naming,
  splitName,
  splitUri,
  tasksForClient,
  toolForClient,
  toolResultForClient,
} from './names.ts'

test.each([
  { mode: 'conditional', targets: 1, expected: { prefixesNames: false, prefixesUris: false } },
  { mode: 'conditional', targets: 2, expected: { prefixesNames: true, prefixesUris: true } },
  { mode: 'always', targets: 1, expected: { prefixesNames: true, prefixesUris: true } },
  { mode: 'never', targets: 1, expected: { prefixesNames: false, prefixesUris: false } },
  { mode: 'never', targets: 2, expected: { prefixesNames: false, prefixesUris: true } },
] as const)(
  '$mode with $targets: names $expected.prefixesNames, URIs $expected.prefixesUris',
  ({ mode, targets, expected }) => {
    expect(naming(mode, targets)).toEqual(expected)
  },
)

test.each([
  ['files_read_file', { target: 'files', rest: 'read_file' }],
  ['my-files.v2_a', { target: 'my-files.v2', rest: 'a' }],
  ['files_', { target: 'files', rest: '' }],
  ['_x', undefined],
  ['plain', undefined],
  ['', undefined],
])('the name %s', (name, expected) => {
  expect(splitName(name)).toEqual(expected)
})

describe('URIs', () => {
  test.each([
    ['file:///a/b.txt', 'one+file:///a/b.txt'],
    ['memo:x', 'one+memo:x'],
    ['urn:isbn:1', 'one+urn:isbn:1'],
    ['http://h/?q=a+b', 'one+http://h/?q=a+b'],
    ['file:///{path}', 'one+file:///{path}'],
    ['ui://form/1', 'ui://one+form/1'],
    ['relative/path', 'relative/path'],
    ['#fragment', '#fragment'],
  ])('%s is %s, and comes back', (uri, joined) => {
    expect(joinUri('one', uri)).toBe(joined)
    if (joined !== uri) expect(splitUri(joined)).toEqual({ target: 'one', rest: uri })
  })
})

test('links and embedded resources of a result are named for the client, and nothing else is', () => {
  const result = {
    content: [
      { type: 'text', text: 'memo:x' },
      { type: 'resource_link', uri: 'memo:x', name: 'x' },
      { type: 'resource', resource: { uri: 'memo:x', text: 'memo:x' } },
      'not a block',
    ],
    structuredContent: { uri: 'memo:x' },
    task: { taskId: '1', status: 'working' },
  }
  expect(toolResultForClient('one', result)).toEqual({
    content: [
      { type: 'text', text: 'memo:x' },
      { type: 'resource_link', uri: 'one+memo:x', name: 'x' },
      { type: 'resource', resource: { uri: 'one+memo:x', text: 'memo:x' } },
      'not a block',
    ],
    structuredContent: { uri: 'memo:x' },
    task: { taskId: 'one+1', status: 'working' },
  })
})

test('a task that something belongs to is named', () => {
  const related = 'io.modelcontextprotocol/related-task'
  const params = { level: 'info', _meta: { [related]: { taskId: '1' }, other: 1 } }
  expect(tasksForClient('one', params)).toEqual({
    level: 'info',
    _meta: { [related]: { taskId: 'one+1' }, other: 1 },
  })
})

test("a tool's page moves with it", () => {
  const tool = {
    name: 'paint',
    _meta: { 'ui/resourceUri': 'ui://a', ui: { resourceUri: 'ui://b', more: 1 } },
  }
  expect(toolForClient('one', tool, naming('always', 1))).toEqual({
    name: 'one_paint',
    _meta: { 'ui/resourceUri': 'ui://one+a', ui: { resourceUri: 'ui://one+b', more: 1 } },
  })
  expect(toolForClient('one', tool, naming('never', 2)).name).toBe('paint')
})
