/** Every message is read whole, cut in two at each byte, and byte by byte: with the same result. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Headers } from '../core/headers.ts'
import { ResponseParser } from './response-parser.ts'

interface Read {
  status: number | undefined
  headers: Headers
  body: string
  isOver: boolean
  isReusable: boolean
  /** Of the bytes, those that belonged to the response. */
  read: number
  error: string | undefined
}

/** Pieces are read through one buffer, as from a socket: what was in it before is gone. */
function readIn(pieces: readonly Buffer[], method: string, isLent: boolean, isEnd = false): Read {
  const seen: Read = {
    status: undefined,
    headers: {},
    body: '',
    isOver: false,
    isReusable: false,
    read: 0,
    error: undefined,
  }
  const body: Buffer[] = []
  const parser = new ResponseParser(
    {
      onHead(status, headers) {
        seen.status = status
        seen.headers = headers
      },
      onBody(bytes) {
        expect(seen).toMatchObject({ status: expect.any(Number), isOver: false })
        body.push(bytes)
      },
      onComplete() {
        seen.isOver = true
      },
    },
    isLent,
  )
  parser.expect(method)
  const lent = Buffer.alloc(Math.max(...pieces.map(({ length }) => length), 1))
  try {
    for (const piece of pieces) {
      lent.fill(0xff)
      piece.copy(lent)
      seen.read += parser.execute(isLent ? lent : Buffer.from(piece), piece.length)
    }
    if (isEnd) parser.finish()
  } catch (error) {
    seen.error = error instanceof Error ? error.message : String(error)
  }
  seen.body = Buffer.concat(body).toString('latin1')
  seen.isReusable = seen.isOver && parser.isReusable
  return seen
}

/** All ways of reading it agree. */
function readAll(text: string, method = 'GET', isEnd = false): Read {
  const bytes = Buffer.from(text, 'latin1')
  const whole = readIn([bytes], method, true, isEnd)
  // Of two things that are wrong, either may be told.
  const told = (read: Read) => (read.error === undefined ? read : { isRefused: true, status: read.status })
  expect(told(readIn([bytes], method, false, isEnd))).toEqual(told(whole))
  for (const isLent of [true, false]) {
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
    expect(told(readIn(single, method, isLent, isEnd))).toEqual(told(whole))
    for (let cut = 1; cut < bytes.length; cut++) {
      const halves = [bytes.subarray(0, cut), bytes.subarray(cut)]
      const { error, ...read } = readIn(halves, method, isLent, isEnd)
      expect({ cut, ...told({ error, ...read }) }).toEqual({ cut, ...told(whole) })
    }
  }
  return whole
}

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`

describe('a response', () => {
  test.each<{ name: string; text: string; method?: string; seen: Partial<Read> }>([
    {
      name: 'of a length',
      text: `${OK}Content-Length: 5\r\nX-A:  b c\t \r\n\r\nhello`,
      seen: {
        status: 200,
        headers: { 'content-length': '5', 'x-a': 'b c' },
        body: 'hello',
        isReusable: true,
      },
    },
    { name: 'of no length', text: `${OK}content-length: 0\r\n\r\n`, seen: { body: '', isReusable: true } },
    {
      name: 'in chunks',
      text: `${CHUNKED}2\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n`,
      seen: { body: 'hello', isReusable: true },
    },
    {
      name: 'in chunks with line ends in them',
      text: `${CHUNKED}7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n`,
      seen: { body: '0\r\n\r\n\r\n', isReusable: true },
    },
    {
      name: 'in chunks of sizes with letters and zeros',
      text: `${CHUNKED}0a\r\n0123456789\r\n00000000B\r\n0123456789a\r\n00000000000f\r\n0123456789abcde\r\n0000\r\n\r\n`,
      seen: { body: '01234567890123456789a0123456789abcde', isReusable: true },
    },
    {
      name: 'in chunks with extensions and trailers',
      text: `${CHUNKED}A;a="b;c"\r\n0123456789\r\n000;z\r\nX-T: content-length\r\nContent-Length: 7\r\n\r\n`,
      seen: { headers: { 'transfer-encoding': 'chunked' }, body: '0123456789', isReusable: true },
    },
    {
      name: 'whose coding is in capital letters',
      text: `${OK}Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n`,
      seen: { isReusable: true },
    },
    { name: 'without a reason', text: 'HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n', seen: { status: 200 } },
    {
      name: 'with all that a value may have',
      text: `${OK}content-length: 0\r\nx-a: \t!~\x80\xff:\r\nx-b:\r\n\r\n`,
      seen: { headers: { 'content-length': '0', 'x-a': '!~\x80\xff:', 'x-b': '' } },
    },
    {
      name: 'with headers more than once',
      text: `${OK}set-cookie: a\r\nSet-Cookie: b\r\nset-cookie: c\r\ncontent-length: 0\r\n\r\n`,
      seen: { headers: { 'set-cookie': ['a', 'b', 'c'], 'content-length': '0' } },
    },
    {
      name: 'to HEAD',
      method: 'HEAD',
      text: `${OK}content-length: 5\r\n\r\n`,
      seen: { body: '', isReusable: true },
    },
    { name: 'to HEAD, chunked', method: 'HEAD', text: CHUNKED, seen: { body: '', isReusable: true } },
    { name: 'that has no content', text: 'HTTP/1.1 204 X\r\n\r\n', seen: { status: 204, isReusable: true } },
    {
      name: 'that has no content, and says it has: what follows is not looked at',
      text: 'HTTP/1.1 204 X\r\ncontent-length: 3\r\n\r\n',
      seen: { status: 204, isReusable: false },
    },
    {
      name: 'that was not modified',
      text: 'HTTP/1.1 304 X\r\ntransfer-encoding: chunked\r\n\r\n',
      seen: { status: 304, isReusable: false },
    },
    {
      name: 'after others that were not final',
      text: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n${OK}content-length: 2\r\n\r\nok`,
      seen: { status: 200, headers: { 'content-length': '2' }, body: 'ok', isReusable: true },
    },
    {
      name: 'whose connection closes',
      text: `${OK}connection: x, Close\r\ncontent-length: 0\r\n\r\n`,
      seen: { isReusable: false },
    },
    {
      name: 'whose connection closes and stays',
      text: `${OK}connection: keep-alive\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      seen: { isReusable: false },
    },
    {
      name: 'of an old server',
      text: 'HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na',
      seen: { body: 'a', isReusable: false },
    },
    {
      name: 'of an old server that keeps its connection',
      text: 'HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\na',
      seen: { body: 'a', isReusable: true },
    },
    {
      name: 'of an old server that knows chunks: nothing follows them',
      text: 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
      seen: { body: 'a', isReusable: false },
    },
    {
      name: 'with names that every object has',
      text: `${OK}constructor: a\r\n__proto__: b\r\ntoString: c\r\ncontent-length: 0\r\n\r\n`,
      seen: { isReusable: true },
    },
  ])('it is read $name', ({ text, method, seen }) => {
    const read = readAll(text, method)
    expect(read).toMatchObject({ isOver: true, error: undefined, read: text.length, ...seen })
    if (seen.headers !== undefined) expect(read.headers).toEqual(seen.headers)
  })

  test('its headers are its own, whatever they are called', () => {
    const { headers } = readAll(`${OK}constructor: a\r\n__proto__: b\r\ntoString: c\r\ntostring: d\r\n\r\n`)
    expect(Object.entries(headers)).toEqual([
      ['constructor', 'a'],
      ['__proto__', 'b'],
      ['tostring', ['c', 'd']],
    ])
    expect(Object.getPrototypeOf(headers)).toBe(Object.prototype)
  })

  test('chunks that are read together are one piece, and told before what is wrong behind them', () => {
    const chunks = '1\r\nx\r\n'.repeat(1000)
    for (const isLent of [true, false]) {
      for (const end of ['', '1', '0\r\n\r\n', '0;z\r\na: b\r\n\r\n', '5\r\nhe', '+\r\n']) {
        const pieces: string[] = []
        let isOver = false
        const parser = new ResponseParser(
          {
            onHead() {},
            onBody: (bytes) => void pieces.push(`${isOver ? 'late: ' : ''}${bytes.toString('latin1')}`),
            onComplete() {
              isOver = true
            },
          },
          isLent,
        )
        parser.expect('GET')
        const bytes = Buffer.from(CHUNKED + chunks + end)
        const read = () => parser.execute(bytes, bytes.length)
        if (end.startsWith('+')) expect(read).toThrow('not valid HTTP')
        else read()
        expect(pieces).toEqual([`${'x'.repeat(1000)}${end.startsWith('5') ? 'he' : ''}`])
        expect(isOver).toBe(end.startsWith('0'))
      }
    }
  })

  test('it may end with its connection', () => {
    const text = `${OK}\r\nhello`
    expect(readAll(text)).toMatchObject({ body: 'hello', isOver: false })
    expect(readAll(text, 'GET', true)).toMatchObject({ body: 'hello', isOver: true, isReusable: false })
  })

  test.each([
    `${OK}content-length: 5\r\n\r\nhell`,
    `${CHUNKED}5\r\nhello\r\n`,
    `${CHUNKED}5\r\nhello\r\n0\r\n`,
    `${CHUNKED}5\r\nhello\r\n0\r\na: b\r\n`,
    `${OK}content-length: 5\r\n`,
  ])('it does not end with its connection before it is whole: %j', (text) => {
    expect(readAll(text, 'GET', true)).toMatchObject({ isOver: false, error: undefined })
  })

  test.each([
    { text: `${OK}content-length: 2\r\n\r\nok`, method: 'GET' },
    { text: `${CHUNKED}0\r\n\r\n`, method: 'GET' },
    { text: `${OK}content-length: 2\r\n\r\n`, method: 'HEAD' },
    { text: 'HTTP/1.1 204 X\r\ncontent-length: 2\r\n\r\n', method: 'GET' },
  ])('what follows it is not its: $method $text', ({ text, method }) => {
    for (const more of ['x', '\r\n', `${OK}content-length: 0\r\n\r\n`])
      expect(readAll(text + more, method)).toMatchObject({ isOver: true, read: text.length })
  })
})

const SEEDS = [
  `${OK}Content-Length: 5\r\nX-A:  b c\t \r\n\r\nhello`,
  `${CHUNKED}2\r\nhe\r\n03;a=b\r\nllo\r\n0\r\nx: y\r\n\r\n`,
  'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc',
  `HTTP/1.1 103 X\r\nlink: a\r\n\r\n${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`,
]
const INTRUDERS = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '5',
  'a',
  '+',
  '\0',
  '\x7f',
  '\xff',
  'content-length: 5\r\n',
]

test('whatever is changed in a message, it is the same wherever it is cut', () => {
  const change = fc.record({ at: fc.nat(120), remove: fc.nat(2), insert: fc.constantFrom('', ...INTRUDERS) })
  const changes = fc.array(change, { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(fc.constantFrom(...SEEDS), changes, (seed, made) => {
      let text = seed
      for (const { at, remove, insert } of made) text = text.slice(0, at) + insert + text.slice(at + remove)
      readAll(text)
    }),
    { numRuns: 100 },
  )
})

const LINES = {
  'two lengths': 'content-length: 5\r\ncontent-length: 5',
  'two lengths in one': 'content-length: 5, 5',
  'a length with a sign': 'content-length: +5',
  'a length below zero': 'content-length: -5',
  'a length in other digits': 'content-length: 0x5',
  'a length with a point': 'content-length: 5.0',
  'a length that is empty': 'content-length:',
  'a length that no number holds': 'content-length: 99999999999999999999',
  'a length and chunks': 'content-length: 5\r\ntransfer-encoding: chunked',
  'chunks and a length': 'transfer-encoding: chunked\r\ncontent-length: 5',
  'another coding': 'transfer-encoding: gzip',
  'another coding before chunks': 'transfer-encoding: gzip, chunked',
  'another coding behind chunks': 'transfer-encoding: chunked, identity',
  'a coding that is none': 'transfer-encoding: identity',
  'chunks twice': 'transfer-encoding: chunked\r\ntransfer-encoding: chunked',
  'chunks twice in one': 'transfer-encoding: chunked, chunked',
  'chunks with a parameter': 'transfer-encoding: chunked;a=b',
  'chunks in quotes': 'transfer-encoding: "chunked"',
  'chunks with a letter more': 'transfer-encoding: xchunked',
  'chunks with a control character': 'transfer-encoding: \x0bchunked',
  'chunks with a tab before them': 'transfer-encoding:\tchunked',
  'chunks with a tab behind them': 'transfer-encoding: chunked\t',
  'a coding that is empty': 'transfer-encoding:',
  'a folded line': 'x-a: b\r\n c',
  'a folded line with a tab': 'x-a: b\r\n\tc',
  'a line that is folded before all others': ' x-a: b',
  'a space before the colon': 'content-length : 5',
  'a tab before the colon': 'transfer-encoding\t: chunked',
  'a space within a name': 'x a: b',
  'no name': ': b',
  'no colon': 'x-a',
  'NUL in a name': 'x\0a: b',
  'NUL in a value': 'x-a: b\0c',
  'a bare CR in a value': 'x-a: b\rc',
  'a bare CR before the line end': 'x-a: b\r',
  'a bare LF': 'x-a: b\nx-c: d',
  'DEL in a value': 'x-a: \x7f',
  'ESC in a value': 'x-a: \x1b[2J',
  'a name beyond ASCII': 'x-\xe4: b',
  'quotes in a name': '"x": b',
}

describe('a response that is refused', () => {
  test.each(Object.entries(LINES))('it has %s', (_name, lines) => {
    const read = readAll(`${OK}${lines}\r\n\r\nhello`)
    expect(read).toMatchObject({
      error: expect.stringContaining('not valid HTTP'),
      status: undefined,
      isOver: false,
    })
  })

  test.each([
    'HTTP/1.1 200 OK\n\n',
    'HTTP/1.1  200 OK\r\n\r\n',
    'HTTP/1.1\t200 OK\r\n\r\n',
    'HTTP/1.1 200OK\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/1.1 099 OK\r\n\r\n',
    'HTTP/1.1 +20 OK\r\n\r\n',
    'HTTP/1.1 200 O\0K\r\n\r\n',
    'HTTP/1.1 200 O\rK\r\n\r\n',
    'HTTP/1.2 200 OK\r\n\r\n',
    'HTTP/2 200 OK\r\n\r\n',
    'HTTP/0.9 200 OK\r\n\r\n',
    'http/1.1 200 OK\r\n\r\n',
    ' HTTP/1.1 200 OK\r\n\r\n',
    '\r\nHTTP/1.1 200 OK\r\n\r\n',
    '\nHTTP/1.1 200 OK\r\n\r\n',
    '\r\n\r\n',
    'ICY 200 OK\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'SSH-2.0-OpenSSH_9.6\r\n',
    '<html>',
    '{"error":"no HTTP"}',
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n',
    'HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\nhello',
    'HTTP/1.1 103 Early Hints\r\ntransfer-encoding: chunked\r\n\r\n',
  ])('it begins with %j', (text) => {
    expect(readAll(text)).toMatchObject({
      error: expect.stringContaining('not valid HTTP'),
      status: undefined,
    })
  })

  test.each([
    '+5\r\nhello\r\n0\r\n\r\n',
    '-5\r\nhello\r\n0\r\n\r\n',
    '0x5\r\nhello\r\n0\r\n\r\n',
    ' 5\r\nhello\r\n0\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '5 ;a\r\nhello\r\n0\r\n\r\n',
    '5\nhello\n0\n\n',
    '5\r\nhello\n0\r\n\r\n',
    '5\r\nhello0\r\n\r\n',
    '5\r\nhello\r0\r\n\r\n',
    '5\r\nhello!\r\n0\r\n\r\n',
    '4\r\nhello\r\n0\r\n\r\n',
    '\r\nhello\r\n0\r\n\r\n',
    ';a\r\nhello\r\n0\r\n\r\n',
    'g\r\nhello\r\n0\r\n\r\n',
    '5h\r\nhello\r\n0\r\n\r\n',
    '5,5\r\nhello\r\n0\r\n\r\n',
    '5;a\0b\r\nhello\r\n0\r\n\r\n',
    '5;a\rb\r\nhello\r\n0\r\n\r\n',
    '5;a\nb\r\nhello\r\n0\r\n\r\n',
    'ffffffffffffffff\r\nhello\r\n0\r\n\r\n',
    '10000000000000005\r\nhello\r\n0\r\n\r\n',
    '0000000000000005\r\nhello\r\n0\r\n\r\n',
    '5\r\nhello\r\n0\n\r\n',
    '5\r\nhello\r\n0\r\n\n',
    '5\r\nhello\r\n0\r\nno trailer\r\n\r\n',
    '5\r\nhello\r\n0\r\na : b\r\n\r\n',
    '5\r\nhello\r\n0\r\na: \0\r\n\r\n',
    '5\r\nhello\r\n0\r\na: b\r\n c\r\n\r\n',
  ])('it has chunks of %j', (text) => {
    const read = readAll(CHUNKED + text)
    expect(read).toMatchObject({ error: expect.stringContaining('not valid HTTP'), isOver: false })
  })

  const LIMIT = 256 * 1024
  test.each<{ name: string; start: string; again: string; most: number }>([
    { name: 'a line that does not end', start: `${OK}x-a: `, again: 'x'.repeat(1000), most: LIMIT },
    { name: 'headers that do not end', start: OK, again: `x-a: ${'y'.repeat(100)}\r\n`, most: LIMIT },
    {
      name: 'responses that are not final',
      start: '',
      again: 'HTTP/1.1 100 Continue\r\n\r\n',
      most: LIMIT,
    },
    { name: 'trailers that do not end', start: `${CHUNKED}0\r\n`, again: 'x-t: y\r\n', most: LIMIT },
    { name: 'an extension that does not end', start: `${CHUNKED}1;`, again: 'x'.repeat(100), most: 4096 },
    { name: 'zeros that do not end', start: CHUNKED, again: '0'.repeat(100), most: 4096 },
    { name: 'a reason that does not end', start: 'HTTP/1.1 200 ', again: 'x', most: LIMIT },
  ])('it has $name', ({ start, again, most }) => {
    const parser = new ResponseParser({ onHead() {}, onBody() {}, onComplete() {} }, true)
    parser.expect('GET')
    const piece = Buffer.from(again)
    parser.execute(Buffer.from(start), start.length)
    let bytes = 0
    expect(() => {
      for (; bytes < 2 * most; bytes += piece.length) parser.execute(piece, piece.length)
    }).toThrow('not valid HTTP')
    expect(bytes).toBeLessThanOrEqual(most)
  })
})
