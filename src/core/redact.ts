/** Takes out of a text what looks like a secret: for all that is logged, traced or kept. */

const MAX_LENGTH = 4096

interface Shape {
  /** What must be there, in any case, for the pattern to fit: cheaper to look for. */
  readonly hint: RegExp
  readonly pattern: RegExp
  readonly replacement: string
}

// Each pattern starts at most once per word, so that no message can make them slow.
const SHAPES: readonly Shape[] = [
  {
    hint: /(?:bearer|basic)\s/,
    pattern: /\b(bearer|basic)(\s+)(?:(?=\S*[\d.~+/=])[\w.~+/=-]{6,}|[\w.~+/=-]{20,})/gi,
    replacement: '$1$2[redacted]',
  },
  // OpenAI, Anthropic; GitHub; Slack; Google; AWS; GitLab; Hugging Face; Groq; xAI.
  {
    hint: /[spr]k-/,
    pattern: /(?<![A-Za-z0-9-])(?:sk|pk|rk)-[\w*.-]{6,}/g,
    replacement: '[redacted]',
  },
  {
    hint: /gh[opusr]_|github_pat_|xox[a-z]-|AIza|AKIA|ASIA|glpat-|hf_|gsk_|xai-/,
    pattern:
      /(?<![A-Za-z0-9-])(?:gh[opusr]_|github_pat_|xox[a-z]-|AIza|AKIA|ASIA|glpat-|hf_|gsk_|xai-)[\w*-]{8,}/g,
    replacement: '[redacted]',
  },
  // JSON web tokens.
  {
    hint: /eyJ/,
    pattern: /(?<![A-Za-z0-9-])eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g,
    replacement: '[redacted]',
  },
  // `api_key=…`, `"x-api-key": "…"`, `?key=…`, `password: …`
  {
    hint: /(?:key|token|secret|signature|password|sig)["']?\s?[=:]/,
    pattern:
      /((?:api[-_]?key|access[-_]?token|auth[-_]?token|client[-_]?secret|signature|password|[?&](?:key|token|sig))["']?\s?[=:]\s?["']?)[^\s"'&,;)}]{4,}/gi,
    replacement: '$1[redacted]',
  },
  // `https://user:password@host`
  { hint: /\/\/[^\s/:@]*:/, pattern: /(\/\/[^\s/:@]*:)[^\s/@]+@/g, replacement: '$1[redacted]@' },
  // Any other long run of letters and digits. Ids of traces and requests are shorter.
  {
    hint: /(?<![\w-])[\w-]{40}/,
    pattern: /(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{40,}/gi,
    replacement: '[redacted]',
  },
]

const ANY_HINT = new RegExp(SHAPES.map(({ hint }) => hint.source).join('|'), 'i')

/** Names of models, paths, hosts. In longer texts looking for all hints at once takes as long as the patterns do. */
const SHORT = 256

/** The text without what looks like a key, a token or a password; what is too long is cut. */
export function redact(text: string): string {
  return redactAll(text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text)
}

/** However long it is. */
export function redactAll(text: string): string {
  if (text.length <= SHORT && !ANY_HINT.test(text)) return text
  let result = text
  for (const { pattern, replacement } of SHAPES) result = result.replace(pattern, replacement)
  return result
}
