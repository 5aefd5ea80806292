import { describe, expect, test } from 'vitest'
import { toolResult } from './tool-result.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

describe('a reply', () => {
  test.each<{
    name: string
    status?: number
    type?: string | undefined
    body: string
    text: string
    structured: object | undefined
  }>([
    { name: 'an object as it is', body: '{ "a": 1 }', text: '{"a":1}', structured: { a: 1 } },
    { name: 'null as text only', body: 'null', text: 'null', structured: undefined },
    { name: 'a list under data', body: '[1]', text: '{"data":[1]}', structured: { data: [1] } },
    { name: 'a text under data', body: '"a"', text: '{"data":"a"}', structured: { data: 'a' } },
    { name: 'false under data', body: 'false', text: '{"data":false}', structured: { data: false } },
    { name: 'JSON of a kind', type: 'application/hal+json', body: '{}', text: '{}', structured: {} },
    { name: 'JSON without a type', type: undefined, body: '{}', text: '{}', structured: {} },
    {
      name: 'JSON as text',
      type: 'text/plain',
      body: '[1]',
      text: '{"data":[1]}',
      structured: { data: [1] },
    },
    { name: 'JSON after a byte order mark', body: '\ufeff{}', text: '{}', structured: {} },
    {
      name: 'a number in text as text',
      type: 'text/plain',
      body: '1',
      text: '{"code":200,"message":"1"}',
      structured: { code: 200, message: '1' },
    },
    {
      name: 'HTML as text',
      type: 'text/html',
      body: '<p>',
      text: '{"code":200,"message":"<p>"}',
      structured: { code: 200, message: '<p>' },
    },
    {
      name: 'broken JSON as text',
      body: '{"a"',
      text: '{"code":200,"message":"{\\"a\\""}',
      structured: { code: 200, message: '{"a"' },
    },
    {
      name: 'nothing as text',
      status: 204,
      type: undefined,
      body: '',
      text: '{"code":204,"message":""}',
      structured: { code: 204, message: '' },
    },
    {
      name: 'a long number to the digit',
      body: '{"id":9007199254740993}',
      text: '{"id":9007199254740993}',
      structured: { id: 9007199254740992 },
    },
    {
      name: 'long numbers in a list to the digit',
      body: ' [9007199254740993]',
      text: '{"data":[9007199254740993]}',
      structured: { data: [9007199254740992] },
    },
  ])('it passes on $name', ({ status = 200, body, text, structured, ...rest }) => {
    const type = 'type' in rest ? rest.type : JSON_TYPE
    expect(toolResult(status, type, Buffer.from(body))).toEqual({
      kind: 'result',
      result: {
        content: [{ type: 'text', text }],
        ...(structured !== undefined && { structuredContent: structured }),
      },
    })
  })

  test.each([
    { status: 200, isError: undefined },
    { status: 299, isError: undefined },
    { status: 302, isError: true },
    { status: 404, isError: true },
    { status: 429, isError: true },
  ])('it is an error for the model from 300 on: $status', ({ status, isError }) => {
    const reply = toolResult(status, JSON_TYPE, Buffer.from('{"detail":"x"}'))
    expect(reply).toMatchObject({ kind: 'result', result: { structuredContent: { detail: 'x' } } })
    expect(reply.kind === 'result' && reply.result.isError).toBe(isError)
  })

  test.each([
    { name: 'with what it says', body: 'down', message: 'the API answered with status 503: down' },
    { name: 'without words', body: ' ', message: 'the API answered with status 503' },
    {
      name: 'in so many words',
      body: 'x'.repeat(5000),
      message: `the API answered with status 503: ${'x'.repeat(1000)}`,
    },
  ])('it is an error of the server from 500 on, $name', ({ body, message }) => {
    expect(toolResult(503, 'text/plain', Buffer.from(body))).toEqual({ kind: 'error', status: 503, message })
  })

  test('it is text when it is too deep for JSON', () => {
    const body = '['.repeat(100_000) + ']'.repeat(100_000)
    expect(toolResult(200, JSON_TYPE, Buffer.from(body))).toMatchObject({
      result: { structuredContent: { code: 200, message: body } },
    })
  })

  test.each([200, 404, 500])('it need not be UTF-8: %i', (status) => {
    const reply = JSON.stringify(toolResult(status, JSON_TYPE, Buffer.from([0xff, 0x22, 0xc3])))
    expect(reply).toContain('\ufffd')
  })
})
