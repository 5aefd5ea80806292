import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { createMetrics } from './metrics.ts'
import { startProcessMetrics } from './process-metrics.ts'
import { createRegistry } from './registry.ts'

const docs = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')

/** Cells of the table rows that have this many. */
function rows(cells: number): string[][] {
  return docs
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
    .filter((row) => row.length === cells)
}

const groups = new Map(rows(2).map(([name = '', labels = '']) => [name, labels]))

/** `HTTP, \`outcome\`` with the groups' labels in place of their names. */
function expandLabels(text: string): string[] {
  if (text === '') return []
  return text.split(', ').flatMap((item) => {
    const label = /^`(\w+)`$/.exec(item)?.[1]
    return label === undefined ? expandLabels(groups.get(item) ?? expect.fail(`no group ${item}`)) : [label]
  })
}

test('docs/metrics.md lists the families that there are', () => {
  const registry = createRegistry()
  createMetrics({ registry, version: '1.2.3' })
  const process = startProcessMetrics(registry)
  onTestFinished(() => process.close())

  const documented = rows(5)
    .filter(([name = '']) => name.startsWith('`'))
    .map(([name = '', type = '', unit = '', labels = '', meaning = '']) => {
      expect(meaning, name).toMatch(/\.$/)
      return { name: name.replaceAll('`', ''), type, unit, labels: expandLabels(labels).toSorted() }
    })
  const registered = registry.families().map(({ name, type, unit = '', labelNames }) => ({
    name,
    type: `${type}`,
    unit,
    labels: labelNames.toSorted(),
  }))
  const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name)
  expect(documented.toSorted(byName)).toEqual(registered.toSorted(byName))
})

test('every metric that docs/metrics.md speaks of has a row', () => {
  const named = new Set(rows(5).map(([name = '']) => name.replaceAll('`', '')))
  const spoken = docs.match(/\bagentgateway_\w+/g) ?? []
  const bare = spoken.map((name) => (named.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')))
  expect(bare.filter((name) => !named.has(name))).toEqual([])
})
