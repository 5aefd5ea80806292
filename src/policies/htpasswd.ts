/**
 * Apache's password files: `user:hash`, a line each. https://httpd.apache.org/docs/2.4/misc/password_encryptions.html
 *
 * Checking is slow on purpose, and blocks: it is done in `password-worker.ts`.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { compareSync } from 'bcryptjs'

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
const APR1 = /^\$apr1\$([^$]{1,8})\$([./A-Za-z0-9]{22})$/
const SHA = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/

/** Hashes by user. Throws an error that names the line and repeats nothing of it. */
export function parseHtpasswd(text: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const user = line.slice(0, colon)
    const hashed = line.slice(colon + 1)
    if (colon < 1) throw new Error(`line ${index + 1} is not user:hash`)
    if (users.has(user)) throw new Error(`line ${index + 1} names a user a second time`)
    if (costOf(hashed) === undefined)
      throw new Error(`line ${index + 1} has no hash by bcrypt, apr1 or {SHA}; plain passwords are not taken`)
    users.set(user, hashed)
  }
  if (users.size === 0) throw new Error('there is no user')
  return users
}

/** How long checking takes, to compare; undefined for what is no hash that is known here. */
export function costOf(hashed: string): number | undefined {
  const [, rounds] = BCRYPT.exec(hashed) ?? []
  if (rounds !== undefined) return Number(rounds)
  if (APR1.test(hashed)) return 1
  return SHA.test(hashed) ? 0 : undefined
}

export function isPassword(password: string, hashed: string): boolean {
  if (BCRYPT.test(hashed)) return compareSync(password, hashed)
  const [, salt] = APR1.exec(hashed) ?? []
  const own = salt === undefined ? `{SHA}${hash('sha1', password, 'base64')}` : apr1(password, salt)
  return own.length === hashed.length && timingSafeEqual(Buffer.from(own), Buffer.from(hashed))
}

const md5 = (...parts: readonly (Buffer | string)[]) =>
  hash('md5', Buffer.concat(parts.map((part) => Buffer.from(part))), 'buffer')

/** MD5 a thousand times, in Apache's own way: `apr_md5_encode`. */
function apr1(text: string, salt: string): string {
  const password = Buffer.from(text)
  const inner = md5(password, salt, password)
  const start: (Buffer | string)[] = [password, '$apr1$', salt]
  for (let left = password.length; left > 0; left -= 16) start.push(inner.subarray(0, Math.min(16, left)))
  for (let bits = password.length; bits > 0; bits >>= 1)
    start.push((bits & 1) === 1 ? '\0' : password.subarray(0, 1))
  let digest = md5(...start)
  for (let round = 0; round < 1000; round++) {
    const isOdd = (round & 1) === 1
    const parts: (Buffer | string)[] = [isOdd ? password : digest]
    if (round % 3 !== 0) parts.push(salt)
    if (round % 7 !== 0) parts.push(password)
    parts.push(isOdd ? digest : password)
    digest = md5(...parts)
  }
  return `$apr1$${salt}$${base64OfCrypt(digest)}`
}

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** In this order the bytes are written, three at a time, six bits a character, the last bits first. */
const GROUPS = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5], [11]] as const

function base64OfCrypt(digest: Buffer): string {
  let text = ''
  for (const group of GROUPS) {
    let bits = 0
    for (const index of group) bits = (bits << 8) | (digest[index] ?? 0)
    for (let left = group.length * 8; left > 0; left -= 6) {
      text += ALPHABET[bits & 63]
      bits >>= 6
    }
  }
  return text
}
