import { afterEach, expect, test } from 'vitest'
import { createPasswords } from './passwords.ts'

const HASHED = '$apr1$x$tMwYqBfQwi3FYAr0aJc8M/'
const passwords = createPasswords()
afterEach(() => passwords.close())

test('each gets its own answer', async () => {
  const answers = ['', 'wrong', '', 'x'].map((password) => passwords.isPassword(password, HASHED))
  expect(await Promise.all(answers)).toEqual([true, false, true, false])
})

test('no more than a hundred wait', async () => {
  const checks = Array.from({ length: 101 }, () => passwords.isPassword('', HASHED))
  const results = await Promise.allSettled(checks)
  expect(results.map(({ status }) => status)).toEqual([...Array(100).fill('fulfilled'), 'rejected'])
  expect(results.at(-1)).toMatchObject({ reason: { code: 'overloaded' } })
})

test('what waits when it is closed is told so; afterwards it begins anew', async () => {
  const waiting = passwords.isPassword('', HASHED)
  const told = expect(waiting).rejects.toMatchObject({ code: 'internal' })
  await passwords.close()
  await told
  expect(await passwords.isPassword('', HASHED)).toBe(true)
})
