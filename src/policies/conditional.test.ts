import { expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { CONDITION, conditional, conditionalSchema, eitherWay } from './conditional.ts'
import { directResponse, directResponseSchema } from './direct-response.ts'
import type { Policy } from './policy.ts'
import { replyOf, requestHead } from './request-head.fixture.ts'

const schema = conditionalSchema(directResponseSchema.safeExtend(CONDITION))

test.each([
  { conditions: ['true', 'true'], chosen: 0 },
  { conditions: ['false', 'true'], chosen: 1 },
  { conditions: ['false', undefined], chosen: 1 },
  { conditions: ['jwt.sub == "ann"', undefined], chosen: 1 },
  { conditions: ['"true"', 'request.method == "GET"'], chosen: 1 },
  { conditions: ['false', 'false'], chosen: undefined },
])('of $conditions it chooses $chosen', ({ conditions, chosen }) => {
  const forms = conditions.map((condition, index) => ({ condition, status: 200 + index }))
  const reply = replyOf(conditional(schema.parse({ conditional: forms }), directResponse), requestHead())
  expect(reply?.status).toBe(chosen === undefined ? undefined : 200 + chosen)
})

test('the form that was chosen goes with the request to its end', () => {
  const told: string[] = []
  const build = ({ name }: { readonly name: string }): Policy => ({
    onRequest: () => void told.push(`${name} request`),
    onModelRequest: () => void told.push(`${name} model`),
    onResponse: (_headers, _head, status) => void told.push(`${name} response ${status}`),
    onFinished: () => void told.push(`${name} finished`),
  })
  const forms = [{ name: 'get', condition: 'request.method == "GET"' }, { name: 'other' }]
  const policy = eitherWay({ conditional: forms }, build)
  const head = requestHead()
  policy.onRequest?.(head)
  policy.onModelRequest?.(head, { model: 'm', tokens: 1, usd: () => 0 })
  policy.onResponse?.({}, head, 200)
  policy.onFinished?.(head.exchange)
  policy.onResponse?.({}, requestHead(), 403)
  expect(told).toEqual(['get request', 'get model', 'get response 200', 'get finished'])
})

const form = { condition: 'true', status: 200 }
test.each([
  { conditional: [] },
  { conditional: [{ status: 200 }, form] },
  { conditional: [{ ...form, condition: 'no such' }] },
  { conditional: [{ ...form, body: 'a', bodyExpression: '"a"' }] },
  { conditional: [{ condition: 'true' }] },
  { conditional: [form], status: 200 },
  { conditional: Array(65).fill(form) },
])('it refuses %j', (config) => {
  expect(schema.safeParse(config).success).toBe(false)
})

test.each<object>([
  { directResponse: { conditional: [form] } },
  { extAuthz: { conditional: [{ condition: 'true', host: 'a:1', protocol: { http: {} } }] } },
  { localRateLimit: { conditional: [{ maxTokens: 1, tokensPerFill: 1, fillInterval: '1s' }] } },
  { transformations: { conditional: [{ condition: 'true', request: { remove: ['x-a'] } }] } },
])('routes take %j', (policies) => {
  const config = { binds: [{ port: 1, listeners: [{ routes: [{ policies }] }] }] }
  expect(configSchema.safeParse(config).error).toBeUndefined()
})
