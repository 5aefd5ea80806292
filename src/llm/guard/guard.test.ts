/** Which texts of requests and answers a guard sees, in each API. */
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../../core/errors.ts'
import type { GuardCheck, WireFormat } from '../../core/exchange.ts'
import { guardAnswer, guardRequest, guardsInOrder, promptGuard } from './guard.ts'
import { responsesEvents } from './responses-events.ts'
import { promptGuardSchema, SCOPES } from './schema.ts'

type Json = Record<string, unknown>

const compiled = (config: object) => promptGuard(promptGuardSchema.parse(config), () => expect.fail())
const seeing = (...scope: string[]) => ({ regex: { rules: [{ pattern: '\\bx\\d*\\b' }] }, scope })
const M = '<masked>'

interface Row {
  readonly name: string
  readonly format: WireFormat
  /** Every text that is looked at has the name of its scope, and an `x`. */
  readonly body: Json
}

const args = (text: string) => JSON.stringify({ [text]: [text, 7] })
const SYSTEM = 'x systemPrompt'
const SAID = 'x messages'
const OUT = 'x toolOutput'
const IN = 'x toolInput'
const LEFT = 'x is left alone'
const text = (said: string) => ({ type: 'text', text: said })

const REQUESTS: readonly Row[] = [
  {
    name: 'a chat',
    format: 'completions',
    body: {
      model: 'x',
      user: LEFT,
      tools: [{ type: 'function', function: { name: 'x', description: LEFT } }],
      messages: [
        { role: 'system', content: SYSTEM },
        { role: 'developer', content: [text(SYSTEM)] },
        {
          role: 'user',
          name: 'x',
          content: [text(SAID), { type: 'image_url', image_url: { url: 'data:x' } }],
        },
        {
          role: 'assistant',
          content: SAID,
          refusal: null,
          reasoning_content: SAID,
          tool_calls: [
            { id: 'x', type: 'function', function: { name: 'x', arguments: args(IN) } },
            { id: 'x', type: 'custom', custom: { name: 'x', input: IN } },
          ],
        },
        { role: 'tool', tool_call_id: 'x', content: OUT },
        { role: 'tool', tool_call_id: 'x', content: [text(OUT)] },
        { role: 'assistant', function_call: { name: 'x', arguments: args(IN) } },
        { role: 'function', name: 'x', content: OUT },
        { role: 'assistant', content: [{ type: 'thinking', thinking: [text(SAID)] }] },
        'x',
        null,
      ],
      prediction: { type: 'content', content: SAID },
    },
  },
  {
    name: 'messages',
    format: 'messages',
    body: {
      model: 'x',
      metadata: { user_id: LEFT },
      system: [text(SYSTEM)],
      messages: [
        { role: 'user', content: SAID },
        { role: 'system', content: SYSTEM },
        { role: 'system', content: [text(SYSTEM)] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: LEFT, signature: 'x' },
            text(SAID),
            { type: 'tool_use', id: 'x', name: 'x', input: { a: IN, n: [7, { b: IN }] } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'x', content: OUT },
            { type: 'tool_result', tool_use_id: 'x', content: [text(OUT), { type: 'image', source: 'x' }] },
            { type: 'document', title: SAID, source: { type: 'text', media_type: 'x', data: SAID } },
            { type: 'document', source: { type: 'base64', data: 'x' } },
            { type: 'search_result', source: 'x', title: SAID, content: [text(SAID)] },
          ],
        },
      ],
    },
  },
  {
    name: 'a simple system prompt',
    format: 'messages',
    body: { system: SYSTEM, messages: [] },
  },
  {
    name: 'responses',
    format: 'responses',
    body: {
      model: 'x',
      instructions: SYSTEM,
      input: [
        { role: 'developer', content: SYSTEM },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: SAID },
            { type: 'input_file', file_id: 'x' },
          ],
        },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: SAID }] },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: LEFT }], encrypted_content: 'x' },
        { type: 'function_call', call_id: 'x', name: 'x', arguments: args(IN) },
        { type: 'function_call_output', call_id: 'x', output: OUT },
        { type: 'local_shell_call', call_id: 'x', action: { command: [IN] } },
        { type: 'code_interpreter_call', code: IN },
        { type: 'shell_call_output', output: [{ stdout: OUT }] },
        { type: 'custom_tool_call', call_id: 'x', input: IN },
        { type: 'custom_tool_call_output', call_id: 'x', output: [{ type: 'input_text', text: OUT }] },
      ],
    },
  },
  { name: 'a simple input', format: 'responses', body: { input: SAID } },
  { name: 'embeddings', format: 'embeddings', body: { input: [SAID, SAID] } },
  { name: 'one embedding', format: 'embeddings', body: { input: SAID } },
]

const ANSWERS: readonly Row[] = [
  {
    name: 'a chat',
    format: 'completions',
    body: {
      id: 'x',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: SAID,
            refusal: SAID,
            tool_calls: [{ id: 'x', type: 'function', function: { name: 'x', arguments: args(IN) } }],
          },
        },
      ],
    },
  },
  {
    name: 'messages',
    format: 'messages',
    body: {
      content: [
        { type: 'thinking', thinking: SAID, signature: 'x' },
        text(SAID),
        { type: 'tool_use', id: 'x', name: 'x', input: { a: IN } },
      ],
    },
  },
  {
    name: 'responses',
    format: 'responses',
    body: {
      output: [
        { type: 'reasoning', summary: [{ type: 'summary_text', text: SAID }] },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: SAID }] },
        { type: 'function_call', call_id: 'x', name: 'x', arguments: args(IN) },
      ],
    },
  },
]

const whole = (body: Json) => JSON.stringify(body)

describe.each([
  { phase: 'request' as const, guard: guardRequest, rows: REQUESTS },
  { phase: 'response' as const, guard: guardAnswer, rows: ANSWERS },
])('of a $phase', ({ phase, guard, rows }) => {
  const guarding = (body: Json, format: WireFormat, scope: readonly string[], checks: GuardCheck[] = []) =>
    guard(compiled({ [phase]: [seeing(...scope)] })[phase], format, body, checks)

  describe.each(rows)('$name', ({ format, body }) => {
    test.each(SCOPES)('%s is looked at, and nothing else', (scope) => {
      const expected = whole(body).replaceAll(`x ${scope}`, `${M} ${scope}`)
      expect(whole(guarding(body, format, [scope]))).toBe(expected)
    })

    test('it stays the very object where nothing is found', () => {
      const clean = JSON.parse(whole(body).replaceAll('x ', 'y ')) as Json
      const checks: GuardCheck[] = []
      expect(guarding(clean, format, SCOPES, checks)).toBe(clean)
      expect(checks).toEqual([{ phase, guard: 'regex', action: 'Allow' }])
    })
  })
})

test.each([null, 7, 'x', [], { messages: 'x' }, { messages: [{ content: 7 }, { content: [[]] }] }])(
  'what is no request of the API passes: %j',
  (messages) => {
    const body = { messages }
    for (const format of ['completions', 'messages'] as const)
      expect(guardRequest(compiled({ request: [seeing(...SCOPES)] }).request, format, body, [])).toBe(body)
  },
)

test('numbers of a tool’s input become strings where they are masked', () => {
  const guard = { regex: { rules: [{ builtin: 'ssn' }] }, scope: ['toolInput'] }
  const body = { content: [{ type: 'tool_use', input: { ssn: 123456789, other: 5, '123-45-6789': true } }] }
  expect(guardAnswer(compiled({ response: [guard] }).response, 'messages', body, [])).toEqual({
    content: [{ type: 'tool_use', input: { ssn: '<SSN>', other: 5, '<SSN>': true } }],
  })
})

test('log probabilities go with the text that they spell', () => {
  const choice = (content: string) => ({ message: { content }, logprobs: { content: [{ token: content }] } })
  const guarded = guardAnswer(
    compiled({ response: [seeing('messages')] }).response,
    'completions',
    { choices: [choice('x'), choice('y')] },
    [],
  )
  expect(guarded).toEqual({ choices: [{ message: { content: M }, logprobs: null }, choice('y')] })
})

describe('guards in order', () => {
  const mask = (pattern: string) => ({ regex: { rules: [{ pattern }] } })
  const reject = (pattern: string, rejection?: object) => ({
    regex: { action: 'reject', rules: [{ pattern }] },
    ...(rejection && { rejection }),
  })
  const asked = { messages: [{ role: 'user', content: 'one two' }] }
  const run = (request: readonly object[], checks: GuardCheck[] = []) =>
    guardRequest(compiled({ request }).request, 'completions', asked, checks)

  test('each sees what the one before has left', () => {
    const checks: GuardCheck[] = []
    expect(run([mask('one'), mask('<masked> t'), mask('one'), reject('one')], checks)).toEqual({
      messages: [{ role: 'user', content: `${M}wo` }],
    })
    expect(checks.map(({ action }) => action)).toEqual(['Mask', 'Mask', 'Allow', 'Allow'])
  })

  const faultOf = (request: readonly object[], checks: GuardCheck[] = []): GatewayError => {
    try {
      run(request, checks)
    } catch (error) {
      if (error instanceof GatewayError) return error
    }
    throw new Error('nothing was rejected')
  }

  test('the first that rejects ends it', () => {
    const checks: GuardCheck[] = []
    expect(faultOf([mask('one'), reject('two'), mask('two')], checks)).toMatchObject({
      code: 'guard_rejected',
      status: 403,
      message: 'The request was rejected due to inappropriate content: it matches pattern',
      headers: {},
    })
    expect(checks.map(({ action }) => action)).toEqual(['Mask', 'Reject'])
  })

  test('a rejection has the status, body and headers that are configured', () => {
    const headers = { set: { 'X-Why': 'a', 'x-gone': 'b' }, add: { 'x-more': 'c' }, remove: ['X-Gone'] }
    expect(faultOf([reject('one', { status: 451, body: 'no', headers })])).toMatchObject({
      status: 451,
      headers: { 'x-why': 'a', 'x-more': 'c' },
      reply: { body: 'no' },
    })
  })
})

test('a streamed item is one text although its id differs from event to event', () => {
  const { response } = compiled({ response: [{ regex: { rules: [{ builtin: 'email' }] } }] })
  const { open, edit } = guardsInOrder(
    response.filter((guard) => 'rules' in guard),
    [],
  )
  const events = responsesEvents(open, edit)
  const type = 'response.output_text.delta'
  const said = ['ann@exa', 'mple.com', ' is it'].flatMap((delta, index) =>
    events.step({ type, item_id: `id-${index}`, output_index: 0, content_index: 0, delta }),
  )
  expect([...said, ...events.end()].map(({ delta }) => delta).join('')).toBe('<EMAIL_ADDRESS> is it')
})
