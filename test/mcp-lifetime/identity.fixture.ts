/** An issuer of tokens with one key, and a configuration that trusts it. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

const ISSUER = 'https://id.example.com'

export async function identity(kid: string) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256' }
  return {
    keySet: JSON.stringify({ keys: [jwk] }),
    token: (subject: string) =>
      new SignJWT({ sub: subject })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setIssuer(ISSUER)
        .setAudience('a')
        .setExpirationTime('1h')
        .sign(privateKey),
  }
}

/** Flow style; `jwks` in YAML. */
export const trusting = (jwks: string, more = '') =>
  `mcpAuthentication: {issuer: "${ISSUER}", audiences: [a], jwks: ${jwks}${more}}`

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
