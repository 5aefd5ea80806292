/** Names by patterns, in which `*` is any text; in linear time, for the names come from clients. */
export function wildcard(pattern: string): (name: string) => boolean {
  const [start = '', ...rest] = pattern.split('*')
  const end = rest.pop()
  if (end === undefined) return (name) => name === pattern
  return (name) => {
    if (!name.startsWith(start)) return false
    let at = start.length
    for (const part of rest) {
      const found = name.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return name.length - at >= end.length && name.endsWith(end)
  }
}
