/** Which keys and headers hold secrets, judged by their names: for redaction, and for messages. */

/** Words that mark a secret anywhere in a name: `apiKey`, `x-api-key`, `access_token`. */
const SECRET_WORDS = new Set([
  'key',
  'keys',
  'apikey',
  'token',
  'tokens',
  'secret',
  'secrets',
  'password',
  'passwd',
  'htpasswd',
  'passphrase',
  'credential',
  'credentials',
  'authorization',
  'cookie',
  'signature',
  'sig',
])

const wordsOf = (name: string) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)

export function isSecretKey(name: string): boolean {
  return wordsOf(name).some(
    (word) => SECRET_WORDS.has(word) || /(?:token|secret|password|apikey)$/.test(word),
  )
}
