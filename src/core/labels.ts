/** The labels of a metric's series as they are scraped: `model="gpt-4o",token_type="input"`. */

export type Labels = Readonly<Record<string, string>>

/** By name of a metric: the labels by which its series are told apart. What differs only in others is added up. */
export type MetricLabels = Readonly<Record<string, readonly string[]>>

const LABEL = /([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"/g

export function parseLabels(text: string): Labels {
  const labels: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(LABEL))
    labels[name] = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  return labels
}

/** Without the labels of other names; still as it is scraped. */
export function onlyLabels(text: string, names: readonly string[]): string {
  if (text === '' || names.length === 0) return ''
  const kept: string[] = []
  for (const [label, name = ''] of text.matchAll(LABEL)) if (names.includes(name)) kept.push(label)
  return kept.join(',')
}
