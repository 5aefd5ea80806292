import { expect, test } from 'vitest'
import { dropHopByHop, type Headers, withoutHopByHop } from './headers.ts'

test.each<{ name: string; headers: Headers; left: Headers }>([
  {
    name: 'keeps what is for the end',
    headers: { host: 'a', 'x-a': ['1', '2'] },
    left: { host: 'a', 'x-a': ['1', '2'] },
  },
  {
    name: 'drops what RFC 9110 names',
    headers: {
      connection: 'keep-alive',
      'keep-alive': 'timeout=5',
      te: 'trailers',
      trailer: 'x-sum',
      'transfer-encoding': 'chunked',
      upgrade: 'websocket',
      'proxy-connection': 'keep-alive',
      'proxy-authorization': 'Basic eA==',
      'proxy-authenticate': 'Basic',
      'http2-settings': 'AAM',
    },
    left: {},
  },
  {
    name: 'drops what Connection names, whatever the case and the spaces',
    headers: { connection: 'close, X-Hop ,x-other', 'x-hop': '1', 'x-other': '2', 'x-end': '3' },
    left: { 'x-end': '3' },
  },
  {
    name: 'takes a Connection in capitals',
    headers: { connection: 'Keep-Alive', 'x-a': '1' },
    left: { 'x-a': '1' },
  },
  {
    name: 'takes a Connection that names nothing',
    headers: { connection: ' , ', 'x-a': '1' },
    left: { 'x-a': '1' },
  },
  {
    name: 'takes a repeated Connection',
    headers: { connection: ['x-a', 'x-b'], 'x-a': '1', 'x-b': '2' },
    left: {},
  },
])('it $name', ({ headers, left }) => {
  const before = structuredClone(headers)
  expect(withoutHopByHop(headers)).toEqual(left)
  expect(headers).toEqual(before)
  dropHopByHop(headers)
  expect(headers).toEqual(left)
})
