import { describe, expect, test } from 'vitest'
import { costOf, isPassword, parseHtpasswd } from './htpasswd.ts'

/** By Apache's htpasswd and OpenSSL. */
const HASHES = [
  { password: 's3cret', hashed: '$2y$04$0/L8XHr7yOx2l3jZnLYAaeABxK2Lb2909H5zR907QA5QaPbanREsm', cost: 4 },
  { password: 's3cret', hashed: '$2b$04$0/L8XHr7yOx2l3jZnLYAaeABxK2Lb2909H5zR907QA5QaPbanREsm', cost: 4 },
  { password: 'pässword', hashed: '$apr1$Va99U6EI$iQcQxNBVS7JY.2UTQcK.l0', cost: 1 },
  {
    password: 'a-much-longer-password-than-sixteen-bytes',
    hashed: '$apr1$abcdefgh$h3YV5nl0Bb7iuo8UwXwDu.',
    cost: 1,
  },
  { password: '', hashed: '$apr1$x$tMwYqBfQwi3FYAr0aJc8M/', cost: 1 },
  { password: 'sha-pw', hashed: '{SHA}O/MvdjOwOQpt8I9HBSVZugThPMw=', cost: 0 },
]

test.each(HASHES)('$hashed is of $password, and of nothing else', ({ password, hashed, cost }) => {
  expect(isPassword(password, hashed)).toBe(true)
  for (const wrong of [`${password}x`, password.slice(1) || 'x', hashed])
    expect(isPassword(wrong, hashed)).toBe(false)
  expect(costOf(hashed)).toBe(cost)
})

describe('a file', () => {
  const [{ hashed } = { hashed: '' }] = HASHES
  test('it has users, comments and empty lines', () => {
    const users = parseHtpasswd(`# who\r\n\nann:${hashed}\r\n  bob:{SHA}O/MvdjOwOQpt8I9HBSVZugThPMw=\n`)
    expect([...users]).toEqual([
      ['ann', hashed],
      ['bob', '{SHA}O/MvdjOwOQpt8I9HBSVZugThPMw='],
    ])
  })

  const NO_HASH = 'line 1 has no hash by bcrypt, apr1 or {SHA}; plain passwords are not taken'
  test.each([
    { text: 'ann:hunter2', problem: NO_HASH },
    { text: 'ann:', problem: NO_HASH },
    { text: 'ann:rqXexS6ZhobKA', problem: NO_HASH },
    { text: 'ann:$6$salt$hash', problem: NO_HASH },
    { text: `ann:${hashed}:Ann`, problem: NO_HASH },
    { text: 'hunter2', problem: 'line 1 is not user:hash' },
    { text: `:${hashed}`, problem: 'line 1 is not user:hash' },
    { text: `ann:${hashed}\nann:${hashed}`, problem: 'line 2 names a user a second time' },
    { text: '# nobody\n', problem: 'there is no user' },
  ])('it is refused: $text', ({ text, problem }) => {
    expect(() => parseHtpasswd(text)).toThrow(new Error(problem))
  })
})
