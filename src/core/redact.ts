/** Takes out of a text what looks like a secret: for all that is logged, traced or kept. */

const MAX_LENGTH = 4096

// Each pattern starts at most once per word, so that no message can make them slow.
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer|basic)(\s+)(?:(?=\S*[\d.~+/=])[\w.~+/=-]{6,}|[\w.~+/=-]{20,})/gi, '$1$2[redacted]'],
  // OpenAI, Anthropic; GitHub; Slack; Google; AWS; GitLab; Hugging Face; Groq; xAI.
  [/(?<![A-Za-z0-9-])(?:sk|pk|rk)-[\w*.-]{6,}/g, '[redacted]'],
  [
    /(?<![A-Za-z0-9-])(?:gh[opusr]_|github_pat_|xox[a-z]-|AIza|AKIA|ASIA|glpat-|hf_|gsk_|xai-)[\w*-]{8,}/g,
    '[redacted]',
  ],
  // JSON web tokens.
  [/(?<![A-Za-z0-9-])eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, '[redacted]'],
  // `api_key=…`, `"x-api-key": "…"`, `?key=…`, `password: …`
  [
    /((?:api[-_]?key|access[-_]?token|auth[-_]?token|client[-_]?secret|signature|password|[?&](?:key|token|sig))["']?\s?[=:]\s?["']?)[^\s"'&,;)}]{4,}/gi,
    '$1[redacted]',
  ],
  // `https://user:password@host`
  [/(\/\/[^\s/:@]*:)[^\s/@]+@/g, '$1[redacted]@'],
  // Any other long run of letters and digits. Ids of traces and requests are shorter.
  [/(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{40,}/gi, '[redacted]'],
]

/** The text without what looks like a key, a token or a password; what is too long is cut. */
export function redact(text: string): string {
  return redactAll(text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text)
}

/** However long it is. */
export function redactAll(text: string): string {
  let result = text
  for (const [pattern, replacement] of SECRETS) result = result.replace(pattern, replacement)
  return result
}
