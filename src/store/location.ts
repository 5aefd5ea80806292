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

export function withoutPassword(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^/:@]*):.*@/i, '$1@').replace(/([?&]password=)[^&]*/i, '$1***')
}
