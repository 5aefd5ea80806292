/** What expressions and configurations may put into a request's first line, its `Host`, or a `Location`. */

const AUTHORITY = /^(?:[\w.~-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/

/** A host, with a port or without. */
export const isAuthority = (text: string): boolean => AUTHORITY.test(text)

/** A path from the root, with a query or without. */
export const isTarget = (text: string): boolean => TARGET.test(text)
