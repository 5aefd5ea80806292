/**
 * The rules for Prometheus: every alert is explained, has a case in which it fires and a near miss.
 *
 * That those cases hold is promtool's word: test/stack/rules.test.ts.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

const PROMETHEUS = fileURLToPath(new URL('../observability/prometheus/', import.meta.url))
/** Cases of these files do not count as near misses: nothing happens in them. */
const IDLE = 'idle.yml'

interface Alert {
  readonly alert: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook: string }
}
interface RuleFile {
  readonly groups: readonly { readonly rules: readonly (Alert | { readonly record: string })[] }[]
}
interface AlertCase {
  readonly alertname: string
  readonly exp_alerts: readonly object[]
}
interface UnitTests {
  readonly rule_files: readonly string[]
  readonly tests: readonly { readonly alert_rule_test?: readonly AlertCase[] }[]
}

const filesIn = (folder: 'rules' | 'tests') =>
  readdirSync(PROMETHEUS + folder)
    .filter((name) => name.endsWith('.yml'))
    .map((name) => `${folder}/${name}`)

const RULE_FILES = filesIn('rules')
const TEST_FILES = filesIn('tests')

const alerts = RULE_FILES.flatMap((file) => {
  const { groups } = parse(readFileSync(PROMETHEUS + file, 'utf8')) as RuleFile
  return groups.flatMap(({ rules }) => rules).filter((rule) => 'alert' in rule)
})
const unitTests = new Map(
  TEST_FILES.map((file) => [basename(file), parse(readFileSync(PROMETHEUS + file, 'utf8')) as UnitTests]),
)

describe('alerts', () => {
  const names = alerts.map(({ alert }) => alert)

  function casesOf(name: string, isCounted: (file: string) => boolean): readonly AlertCase[] {
    return [...unitTests]
      .filter(([file]) => isCounted(file))
      .flatMap(([, { tests }]) => tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test))
      .filter(({ alertname }) => alertname === name)
  }

  test('have names of their own that begin with AgentGateway', () => {
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^AgentGateway[A-Z][A-Za-z]+$/)
  })

  test.each(alerts)('$alert says how urgent it is, what it measured and what to do', (rule) => {
    expect(rule.labels.severity).toMatch(/^(page|ticket)$/)
    expect(Object.keys(rule.annotations).sort()).toEqual(['description', 'runbook', 'summary'])
    for (const text of Object.values(rule.annotations)) expect(text).toMatch(/^\S[^\n]*\S$/)
    expect(rule.annotations.description).toMatch(/\{\{.*(\$value|\$labels)/)
    expect(rule.annotations.runbook, 'the same in docs/alerts.md').not.toContain('{{')
  })

  test.each(names)('%s is seen firing, quiet after a near miss, and quiet when idle', (name) => {
    const cases = casesOf(name, (file) => file !== IDLE)
    const idle = casesOf(name, (file) => file === IDLE)
    expect({
      fires: cases.some(({ exp_alerts }) => exp_alerts.length > 0),
      hasNearMiss: cases.some(({ exp_alerts }) => exp_alerts.length === 0),
      isQuietWhenIdle: idle.some(({ exp_alerts }) => exp_alerts.length === 0),
    }).toEqual({ fires: true, hasNearMiss: true, isQuietWhenIdle: true })
  })

  test('all that is tested exists', () => {
    const tested = [...unitTests.values()].flatMap(({ tests }) =>
      tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test.map(({ alertname }) => alertname)),
    )
    expect(new Set(tested)).toEqual(new Set(names))
    const loaded = [...unitTests.values()].flatMap(({ rule_files }) => rule_files)
    expect(new Set(loaded)).toEqual(new Set(RULE_FILES.map((file) => `../${file}`)))
  })
})

describe('docs/alerts.md', () => {
  const text = readFileSync(new URL('../docs/alerts.md', import.meta.url), 'utf8')
  const sections = text
    .split(/^### /m)
    .slice(1)
    .map((section) => ({ title: section.slice(0, section.indexOf('\n')), section }))

  test('has one section for each alert', () => {
    const titles = sections.map(({ title }) => title)
    expect(titles.sort()).toEqual(alerts.map(({ alert }) => alert).sort())
  })

  test.each(alerts)('$alert: urgency and runbook are those of the rule', ({ alert, labels, annotations }) => {
    const section = sections.find(({ title }) => title === alert)?.section.split('\n')
    expect(section).toContain(`**${labels.severity}** · ${annotations.runbook}`)
  })
})
