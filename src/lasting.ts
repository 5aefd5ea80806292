/** What policies keep over a reload, and lend from each other. */
import { createPasswords, type Passwords } from './policies/passwords.ts'
import { createLimits, type Limits } from './policies/rate-limit.ts'

export interface Lasting {
  readonly limits: Limits
  readonly passwords: Passwords
  readonly close: () => Promise<void>
}

export function createLasting(): Lasting {
  const passwords = createPasswords()
  return {
    limits: createLimits(() => performance.now()),
    passwords,
    close: passwords.close,
  }
}
