import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { GatewayError } from '../core/errors.ts'
import type { Headers } from '../core/headers.ts'
import { basicAuth, basicAuthSchema } from './basic-auth.ts'
import { isPassword } from './htpasswd.ts'
import { requestHead } from './request-head.fixture.ts'

const SHA = '{SHA}O/MvdjOwOQpt8I9HBSVZugThPMw='
const APR1 = '$apr1$x$tMwYqBfQwi3FYAr0aJc8M/'
const HTPASSWD = `ann:${SHA}\nempty:${APR1}\n`

type Config = z.input<typeof basicAuthSchema>
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

function lab(config: Partial<Config> = {}) {
  let time = 0
  const checks: { password: string; hashed: string }[] = []
  let isBroken = false
  const policy = basicAuth(basicAuthSchema.parse({ htpasswd: HTPASSWD, ...config }), HTPASSWD, {
    now: () => time,
    async isPassword(password, hashed) {
      checks.push({ password, hashed })
      if (isBroken) throw new GatewayError('overloaded', 'too many')
      return isPassword(password, hashed)
    },
  })
  return {
    checks,
    pass: (milliseconds: number) => {
      time += milliseconds
    },
    break: () => {
      isBroken = true
    },
    /** What is left of the headers, and who it was; or why not. */
    async ask(headers: Headers) {
      const head = requestHead({ headers: { ...headers } })
      head.exchange.key = 'of-the-request'
      const { exchange } = head
      try {
        expect(await policy.onRequest?.(head)).toBeUndefined()
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error
        const challenge = error.headers['www-authenticate']
        return { code: error.code, says: error.message, challenge, key: exchange.key }
      }
      return { headers: head.headers, user: exchange.user, key: exchange.key, basicAuth: head.basicAuth }
    },
  }
}

const refused = (says: string) => ({
  code: 'unauthenticated',
  says: `basic authentication failure: ${says}`,
  challenge: 'Basic realm="Restricted", charset="UTF-8"',
  key: undefined,
})

describe('a request', () => {
  test('with the right password passes, without it', async () => {
    const answer = await lab().ask({ authorization: basic('ann:sha-pw'), accept: '*/*' })
    expect(answer).toEqual({
      headers: { accept: '*/*' },
      user: 'ann',
      key: expect.stringMatching(/^[0-9a-f]{8}$/),
      basicAuth: { username: 'ann' },
    })
    expect(await lab().ask({ authorization: basic('ann:sha-pw').replace('Basic', 'bASIC') })).toMatchObject({
      user: 'ann',
    })
    expect(await lab().ask({ authorization: basic('empty:') })).toMatchObject({ user: 'empty' })
  })

  test.each<{ name: string; headers: Headers; says: string }>([
    { name: 'no credentials', headers: {}, says: 'no credentials found' },
    { name: 'another scheme', headers: { authorization: 'Bearer a' }, says: 'no credentials found' },
    { name: 'a wrong password', headers: { authorization: basic('ann:x') }, says: 'invalid credentials' },
    { name: 'an unknown user', headers: { authorization: basic('bob:sha-pw') }, says: 'invalid credentials' },
    { name: 'no colon', headers: { authorization: basic('ann') }, says: 'invalid credentials' },
    { name: 'no base64', headers: { authorization: 'Basic ***' }, says: 'invalid credentials' },
    {
      name: 'a password that is too long',
      headers: { authorization: basic(`ann:${'x'.repeat(2000)}`) },
      says: 'invalid credentials',
    },
  ])('with $name is refused', async ({ headers, says }) => {
    expect(await lab().ask(headers)).toEqual(refused(says))
  })

  test('of nobody who is known takes as long as one of somebody', async () => {
    const { ask, checks } = lab()
    await ask({ authorization: basic('bob:') })
    // The hash that takes longest; that its password is right makes nobody of him.
    expect(checks).toEqual([{ password: '', hashed: APR1 }])
  })

  test('may be told apart by another realm and header', async () => {
    const { ask } = lab({ realm: 'Admin', authorizationLocation: { header: { name: 'X-User' } } })
    expect(await ask({})).toMatchObject({ challenge: 'Basic realm="Admin", charset="UTF-8"' })
    expect(await ask({ 'x-user': basic('ann:sha-pw').slice(6) })).toMatchObject({ headers: {}, user: 'ann' })
    expect(basicAuthSchema.safeParse({ htpasswd: 'a', realm: '"' }).success).toBe(false)
  })
})

test.each([
  { mode: 'strict', none: 'unauthenticated', wrong: 'unauthenticated', broken: 'overloaded' },
  { mode: 'optional', none: undefined, wrong: 'unauthenticated', broken: 'overloaded' },
  { mode: 'permissive', none: undefined, wrong: undefined, broken: undefined },
] as const)('$mode', async ({ mode, none, wrong, broken }) => {
  const { ask, break: breakChecks } = lab({ mode })
  expect((await ask({})).code).toBe(none)
  const answer = await ask({ authorization: basic('ann:x') })
  expect(answer).toMatchObject({ key: undefined })
  expect(answer.code).toBe(wrong)
  expect(answer.user).toBeUndefined()
  expect(await ask({ authorization: basic('ann:sha-pw') })).toMatchObject({ user: 'ann' })
  breakChecks()
  expect((await ask({ authorization: basic('empty:') })).code).toBe(broken)
})

describe('what was right', () => {
  const right = { authorization: basic('ann:sha-pw') }
  const wrong = { authorization: basic('ann:x') }

  test('is checked once a minute, however many ask at once', async () => {
    const { ask, checks, pass } = lab()
    await Promise.all(Array.from({ length: 20 }, () => ask(right)))
    pass(59_999)
    await ask(right)
    expect(checks.length).toBe(1)
    pass(1)
    await ask(right)
    expect(checks.length).toBe(2)
  })

  test('is all that is remembered', async () => {
    const { ask, checks, break: breakChecks } = lab()
    await ask(wrong)
    await ask(wrong)
    expect(checks.length).toBe(2)
    await ask(right)
    breakChecks()
    expect(await ask(wrong)).toMatchObject({ code: 'overloaded' })
    expect(await ask(right)).toMatchObject({ user: 'ann' })
  })
})
