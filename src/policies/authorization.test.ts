import { expect, test } from 'vitest'
import { authorization, authorizationSchema } from './authorization.ts'
import type { RequestHead } from './policy.ts'
import { requestHead } from './request-head.fixture.ts'

type Rules = Parameters<typeof authorization>[0]['rules']

function passes(rules: Rules, head: Partial<RequestHead> = {}): boolean {
  const policy = authorization(authorizationSchema.parse({ rules }))
  try {
    policy.onRequest?.(requestHead(head))
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'forbidden', message: 'authorization failed' })
    return false
  }
}

const [yes, no, error] = ['true', 'false', 'jwt.sub == "ann"']
test.each<{ name: string; rules: Rules; passed: boolean }>([
  { name: 'lets all pass without rules', rules: [], passed: true },
  { name: 'lets pass what an allow holds for', rules: [no, { allow: yes }], passed: true },
  { name: 'refuses what no allow holds for', rules: [no, { allow: no }], passed: false },
  { name: 'takes an allow that fails for one that does not hold', rules: [error], passed: false },
  { name: 'lets pass what no deny holds for', rules: [{ deny: no }], passed: true },
  { name: 'lets a deny win over an allow', rules: [yes, { deny: yes }], passed: false },
  { name: 'denies by a deny that fails', rules: [yes, { deny: error }], passed: false },
  { name: 'wants every require', rules: [yes, { require: yes }, { require: no }], passed: false },
  { name: 'denies by a require that fails', rules: [yes, { require: error }], passed: false },
  { name: 'wants an allow besides require', rules: [no, { require: yes }], passed: false },
  { name: 'takes only true for true', rules: ['1', '"true"'], passed: false },
])('it $name', ({ rules, passed }) => {
  expect(passes(rules)).toBe(passed)
})

test.each<{ rule: string; head?: Partial<RequestHead>; passed: boolean }>([
  {
    rule: 'request.method == "GET" && request.host == "gateway.test:3000" && request.path == "/"',
    passed: true,
  },
  { rule: 'source.address == "127.0.0.1"', passed: true },
  { rule: 'request.headers["x-team"] == "blue"', head: { headers: { 'x-team': 'blue' } }, passed: true },
  { rule: 'apiKey.group == "platform"', head: { apiKey: { group: 'platform' } }, passed: true },
  { rule: 'basicAuth.username == "ann"', head: { basicAuth: { username: 'ann' } }, passed: true },
  { rule: '"admin" in jwt.groups', head: { jwt: { groups: ['dev', 'admin'] } }, passed: true },
  { rule: '!has(jwt.sub)', passed: false },
  { rule: '!has(jwt.sub)', head: { jwt: {} }, passed: true },
])('it judges by $rule', ({ rule, head, passed }) => {
  expect(passes([rule], head)).toBe(passed)
})

test.each(['llm.model == "m"', 'request.body', 'jwt.sub =='])('it takes no rule %s', (rule) => {
  expect(authorizationSchema.safeParse({ rules: [rule] }).success).toBe(false)
})
