/**
 * Is this token genuine, meant for us, and of today?
 *
 * Symmetric algorithms are out altogether: a public key taken for a shared secret would let anyone sign
 * (https://www.rfc-editor.org/rfc/rfc8725#section-2.1).
 */
import { decodeProtectedHeader, errors, jwtVerify, type LocalJWKSet } from 'jose'
import type { Kept } from './keep-fresh.ts'

/** Which tokens are meant. */
export interface TokenRules {
  readonly issuer: string
  /** Without them a token may be for anybody. */
  readonly audiences?: readonly string[] | undefined
  readonly jwtValidationOptions: { readonly requiredClaims: readonly string[] }
}

export type Verdict =
  | { readonly kind: 'valid'; readonly claims: Record<string, unknown> }
  /** The reason is shown to the client. */
  | { readonly kind: 'invalid'; readonly reason: string }
  /** There are no keys to check with. */
  | { readonly kind: 'unavailable'; readonly cause: unknown }

const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512'],
  ...['PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512'],
  ...['EdDSA', 'Ed25519'],
]
const CLOCK_TOLERANCE_SECONDS = 30
const NOT_A_TOKEN = 'not a JSON Web Token'
const NOT_ALLOWED = 'the signature algorithm is not allowed'
const UNKNOWN_KEY = 'unknown key'

const REASONS = new Map<string, string>([
  ['ERR_JWT_EXPIRED', 'the token has expired'],
  ['ERR_JWKS_NO_MATCHING_KEY', UNKNOWN_KEY],
  ['ERR_JWKS_MULTIPLE_MATCHING_KEYS', 'the token does not say which key signed it'],
  ['ERR_JWS_SIGNATURE_VERIFICATION_FAILED', 'wrong signature'],
  ['ERR_JOSE_ALG_NOT_ALLOWED', NOT_ALLOWED],
  ['ERR_JWS_INVALID', NOT_A_TOKEN],
  ['ERR_JWT_INVALID', NOT_A_TOKEN],
])

const WRONG_CLAIMS = new Map<string, string>([
  ['iss', 'wrong issuer'],
  ['aud', 'wrong audience'],
  ['nbf', 'the token is not valid yet'],
])

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return `the claim ${error.claim} is missing`
    return WRONG_CLAIMS.get(error.claim) ?? `the claim ${error.claim} is wrong`
  }
  // Anything else comes from keys that WebCrypto cannot use.
  const code = error instanceof errors.JOSEError ? error.code : ''
  return REASONS.get(code) ?? 'the token cannot be verified'
}

/** Faults that need no key, so that rubbish makes nobody fetch any. */
function faultOfHeader(token: string): string | undefined {
  try {
    const { alg = '' } = decodeProtectedHeader(token)
    if (token.split('.').length !== 3) return NOT_A_TOKEN
    return ALGORITHMS.includes(alg) ? undefined : NOT_ALLOWED
  } catch {
    return NOT_A_TOKEN
  }
}

export const withoutSlash = (url: string) => url.replace(/\/+$/, '')

export function tokenVerifier(
  rules: TokenRules,
  keys: Kept<LocalJWKSet>,
  now: () => number,
): (token: string) => Promise<Verdict> {
  // Auth0 signs its issuer with a slash at the end that few people write down; the server is the same.
  const bare = withoutSlash(rules.issuer)
  const options = {
    algorithms: ALGORITHMS,
    issuer: [bare, `${bare}/`],
    ...(rules.audiences !== undefined && { audience: [...rules.audiences] }),
    requiredClaims: [...rules.jwtValidationOptions.requiredClaims],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
  }

  async function judge(token: string, set: LocalJWKSet): Promise<Verdict> {
    try {
      const { payload } = await jwtVerify(token, set, { ...options, currentDate: new Date(now()) })
      return { kind: 'valid', claims: payload }
    } catch (error) {
      return { kind: 'invalid', reason: reasonOf(error) }
    }
  }

  return async (token) => {
    const fault = faultOfHeader(token)
    if (fault !== undefined) return { kind: 'invalid', reason: fault }
    try {
      const current = await keys.current()
      const verdict = await judge(token, current)
      if (verdict.kind !== 'invalid' || verdict.reason !== UNKNOWN_KEY) return verdict
      const renewed = await keys.renewed()
      return renewed === current ? verdict : await judge(token, renewed)
    } catch (cause) {
      return { kind: 'unavailable', cause }
    }
  }
}
