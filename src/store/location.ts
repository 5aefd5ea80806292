/** Where the store lies, read from its URL. */

export type Location =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string }

export const MEMORY = ':memory:'

/** Throws when the URL cannot be understood. */
export function locate(url: string): Location {
  if (/^postgres(ql)?:/i.test(url)) {
    if (!/^postgres(ql)?:\/\//i.test(url) || !URL.canParse(url)) {
      throw new Error(`The store's URL is malformed: ${withoutPassword(url)}`)
    }
    return { kind: 'postgres', url }
  }
  const file = url.replace(/^sqlite:(?:\/\/)?/i, '')
  if (/^[a-z][a-z0-9+.-]+:/i.test(file)) {
    throw new Error(`The store's URL begins with neither sqlite: nor postgres: ${withoutPassword(url)}`)
  }
  if (file === '') throw new Error("The store's URL names no file")
  return { kind: 'sqlite', file }
}

/** For logs and pages: all but what is known to be harmless is left out. */
export function withoutPassword(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]
  if (scheme === undefined || /^sqlite$/i.test(scheme)) return url
  const parsed = URL.parse(url)
  // A password with a slash in it that is not escaped makes the rest of it look like a path.
  const isPlain = parsed !== null && url.includes('://') && /^(\/[\w.-]*)?$/.test(parsed.pathname)
  if (!isPlain) return `${scheme}:…`
  return `${parsed.protocol}//${parsed.username}${parsed.username && '@'}${parsed.host}${parsed.pathname}`
}
