import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ERROR_TYPES, errorTypeOfStatus, FAULTS, OUTCOMES } from './errors.ts'

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
/** First cells of the rows below a heading. */
const documented = (heading: string) => {
  const [, section = ''] = page.split(`## ${heading}\n`)
  const [rows = ''] = section.split('\n## ')
  return [...rows.matchAll(/^\| `([a-z_]+)` \|(.*)\|$/gm)]
}

test('docs/errors.md has every fault with its status, reason, error type and outcome', () => {
  const rows = documented('Faults').map(([, code, rest = '']) => [
    code,
    ...rest
      .split('|')
      .slice(0, 4)
      .map((cell) => cell.trim()),
  ])
  const expected = Object.entries(FAULTS).map(([code, fault]) => [
    code,
    String(fault.status),
    `\`${fault.reason}\``,
    `\`${fault.errorType}\``,
    `\`${fault.outcome}\``,
  ])
  expect(rows).toEqual(expected)
})

test('docs/errors.md has every outcome and every error type', () => {
  expect(documented('`outcome`').map(([, name]) => name)).toEqual([...OUTCOMES])
  expect(documented('`error_type`').map(([, name]) => name)).toEqual([...ERROR_TYPES])
})

test.each([
  [400, 'provider_invalid_request'],
  [401, 'provider_auth'],
  [403, 'provider_auth'],
  [404, 'provider_not_found'],
  [429, 'provider_rate_limited'],
  [500, 'provider_server_error'],
  [503, 'provider_overloaded'],
  [529, 'provider_overloaded'],
] as const)('a provider that answers %i is %s', (status, errorType) => {
  expect(errorTypeOfStatus(status)).toBe(errorType)
})
