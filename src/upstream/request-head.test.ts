import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { UpstreamRequest, UpstreamTarget } from '../core/upstream.ts'
import { HttpError } from './http-error.ts'
import { outgoing } from './request-head.ts'

const TARGET: UpstreamTarget = { host: 'a.test', port: 8080, tls: undefined, connectTimeoutMs: undefined }
const GET: UpstreamRequest = { method: 'GET', path: '/', headers: { host: 'h' }, body: null }
const made = (change: Partial<UpstreamRequest>, target: Partial<UpstreamTarget> = {}) =>
  outgoing({ ...GET, ...change }, { ...TARGET, ...target })

function headOf(change: Partial<UpstreamRequest>, target?: Partial<UpstreamTarget>): string {
  const request = made(change, target)
  if (request instanceof Error) throw request
  return request.head
}

describe('what goes on the wire', () => {
  test.each<{ name: string; change: Partial<UpstreamRequest>; head: string }>([
    { name: 'no body', change: {}, head: 'GET / HTTP/1.1\r\nhost: h\r\nconnection: keep-alive\r\n\r\n' },
    {
      name: 'headers as they are written, as often as they are there',
      change: {
        path: '/a?b=%20#\xff',
        headers: { 'X-A': ['1', '2'], host: 'h', 'x-b': '\t\xff', 'x-c': undefined },
      },
      head: 'GET /a?b=%20#\xff HTTP/1.1\r\nhost: h\r\nconnection: keep-alive\r\nX-A: 1\r\nX-A: 2\r\nx-b: \t\xff\r\n\r\n',
    },
    {
      name: 'none of what was said of another connection',
      change: { headers: { host: 'h', connection: 'close', expect: '100-continue' } },
      head: 'GET / HTTP/1.1\r\nhost: h\r\nconnection: keep-alive\r\n\r\n',
    },
    {
      name: 'HEAD, which is the last',
      change: { method: 'HEAD' },
      head: 'HEAD / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n',
    },
  ])('it is $name', ({ change, head }) => {
    expect(headOf(change)).toBe(head)
  })

  const stream = () => Readable.from([Buffer.from('x')])
  test.each<{ name: string; change: Partial<UpstreamRequest>; framing: string[] }>([
    { name: 'none, without a body', change: {}, framing: [] },
    { name: 'none, whatever was said', change: { headers: { 'content-length': '5' } }, framing: [] },
    { name: '0 where one is expected', change: { method: 'POST' }, framing: ['content-length: 0'] },
    {
      name: '0 where another was said, for there is no body',
      change: { method: 'POST', headers: { 'content-length': '5' } },
      framing: ['content-length: 0'],
    },
    {
      name: '0 of an empty buffer',
      change: { method: 'POST', body: Buffer.alloc(0) },
      framing: ['content-length: 0'],
    },
    {
      name: "the buffer's",
      change: { method: 'POST', body: Buffer.from('ä') },
      framing: ['content-length: 2'],
    },
    {
      name: "the buffer's, once",
      change: { method: 'POST', headers: { 'Content-Length': '2' }, body: Buffer.from('ä') },
      framing: ['content-length: 2'],
    },
    {
      name: 'what a stream promises',
      change: { method: 'POST', headers: { 'content-length': '007' }, body: stream() },
      framing: ['content-length: 7'],
    },
    {
      name: 'unknown of a stream',
      change: { method: 'POST', body: stream() },
      framing: ['transfer-encoding: chunked'],
    },
  ])('its length is $name', ({ change, framing }) => {
    const lines = headOf(change).split('\r\n')
    expect(lines.filter((line) => /^(content-length|transfer-encoding):/i.test(line))).toEqual(framing)
  })

  test.each<{ target: Partial<UpstreamTarget>; host: string }>([
    { target: {}, host: 'a.test:8080' },
    { target: { port: 80 }, host: 'a.test' },
    { target: { port: 443, tls: {} }, host: 'a.test' },
    { target: { port: 443 }, host: 'a.test:443' },
    { target: { host: '::1' }, host: '[::1]:8080' },
  ])('its host is $host where nobody says another', ({ target, host }) => {
    expect(headOf({ headers: {} }, target)).toContain(`\r\nhost: ${host}\r\n`)
  })
})

describe('what is refused', () => {
  const codes = [
    ...Array.from({ length: 256 }, (_, code) => code),
    0x100,
    0x10a,
    0x10d,
    0x20ac,
    0xd800,
    0xff1a,
  ]
  const places: Record<string, (text: string) => Partial<UpstreamRequest>> = {
    method: (text) => ({ method: `GE${text}T` }),
    path: (text) => ({ path: `/a${text}b` }),
    host: (text) => ({ headers: { host: `a${text}b` } }),
    name: (text) => ({ headers: { [`x${text}y`]: 'z' } }),
    value: (text) => ({ headers: { x: `y${text}z` } }),
    'value among others': (text) => ({ headers: { x: ['y', `${text}z`] } }),
  }
  const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/
  const allowed: Record<string, RegExp> = {
    method: TOKEN,
    path: /^[\x21-\x7e\x80-\xff]$/,
    host: /^[\t\x20-\x7e\x80-\xff]$/,
    name: TOKEN,
    value: /^[\t\x20-\x7e\x80-\xff]$/,
    'value among others': /^[\t\x20-\x7e\x80-\xff]$/,
  }

  test.each(Object.keys(places))('each character that cannot be in a %s', (place) => {
    const sent = codes.filter(
      (code) => !(made(places[place]?.(String.fromCharCode(code)) ?? {}) instanceof Error),
    )
    expect(sent).toEqual(codes.filter((code) => allowed[place]?.test(String.fromCharCode(code))))
  })

  test('no head has more lines than it should', () => {
    for (const [place, change] of Object.entries(places)) {
      for (const code of codes) {
        const request = made(change(String.fromCharCode(code)))
        if (request instanceof Error) continue
        const lines = Buffer.from(request.head, 'latin1')
          .toString('latin1')
          .split(/[\r\n]+/)
        expect(lines.length).toBeLessThanOrEqual(place === 'value among others' ? 6 : 5)
      }
    }
  })

  test.each<{ name: string; change: Partial<UpstreamRequest> }>([
    { name: 'a path that is none', change: { path: '' } },
    { name: 'a path that is a URL', change: { path: 'http://b.test/' } },
    { name: 'a path that is a star', change: { path: '*' } },
    { name: 'a method that is none', change: { method: '' } },
    { name: 'a tunnel', change: { method: 'CONNECT' } },
    { name: 'a name that is none', change: { headers: { '': 'x' } } },
    { name: 'two hosts', change: { headers: { host: ['a', 'b'] } } },
    { name: 'two lengths', change: { headers: { 'content-length': ['1', '1'] } } },
    { name: 'a length that is none', change: { headers: { 'content-length': '1, 1' } } },
    { name: 'a length with a sign', change: { headers: { 'content-length': '+1' } } },
    {
      name: 'a length that is not that of the body',
      change: { method: 'POST', headers: { 'content-length': '1' }, body: Buffer.from('ab') },
    },
    { name: 'chunks that are said and not made', change: { headers: { 'Transfer-Encoding': 'chunked' } } },
    { name: 'another protocol', change: { headers: { upgrade: 'websocket' } } },
  ])('$name', ({ change }) => {
    const error = made(change)
    expect(error).toBeInstanceOf(HttpError)
    expect(error).toMatchObject({ code: 'bad_request' })
  })
})
