import { expect, test } from 'vitest'
import { loadConfig } from './load.ts'

/** `path: message (hint)` */
function problems(llm: string): string[] {
  const result = loadConfig({ text: `llm: ${llm}`, file: 'gateway.yaml', environment: {} })
  if (result.ok) return []
  return result.problems.map(
    ({ path, message, hint }) => `${path}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
  )
}

const MODELS = 'models: [{name: a, provider: openAI}, {name: "claude-*", provider: anthropic}]'
const virtual = (targets: string) => `{${MODELS}, virtualModels: [${targets}]}`
const failover = (name: string, ...models: readonly string[]) =>
  `{name: ${name}, routing: {failover: {targets: [${models.map((model) => `{model: ${model}, priority: 0}`).join(', ')}]}}}`
const target = (index: number) => `llm.virtualModels[0].routing.failover.targets[${index}].model`

test.each([
  {
    llm: '{models: []}',
    expected: ['llm.models: expected a list with at least 1 item, found an empty list'],
  },
  {
    llm: '{models: [{name: "a*b", provider: openAI}]}',
    expected: [
      'llm.models[0].name: expected a name, with one `*` at its start or end at most, found the string "a*b"',
    ],
  },
  {
    llm: `{models: [{name: a, provider: openAI}, {name: a, provider: groq}], virtualModels: [${failover('a', 'a')}]}`,
    expected: [
      'llm.models[1].name: duplicate model name `a`',
      'llm.virtualModels[0].name: duplicate model name `a`',
      `${target(0)}: \`a\` would lead to itself`,
    ],
  },
  {
    llm: '{providers: [{name: main, provider: openAI}], models: [{name: a, provider: {reference: man}, params: {apiKey: k, model: b}}]}',
    expected: [
      'llm.models[0].provider.reference: there is no provider `man` in `llm.providers` (did you mean `main`?)',
      "llm.models[0].params.apiKey: `apiKey` is the provider's: a model that refers to one sets only `model`",
    ],
  },
  {
    llm: '{models: [{name: a, provider: {custom: {}}}]}',
    expected: [
      'llm.models[0].provider.custom: a custom provider has no address of its own: `params.baseUrl` is required',
    ],
  },
  {
    llm: '{models: [{name: a, provider: openAI, auth: {key: k}, params: {apiKey: k, baseUrl: "https://u@h/v1?x=1"}}]}',
    expected: [
      'llm.models[0].params.apiKey: `apiKey` and `auth` exclude each other: keep one',
      'llm.models[0].params.baseUrl: expected a URL without user, query and fragment',
    ],
  },
  {
    llm: virtual(failover('v', 'a', 'claude-haiku-4-5', 'gpt-4')),
    expected: [`${target(2)}: there is no model \`gpt-4\` in \`llm\``],
  },
  {
    llm: virtual([failover('v', 'a', 'w'), failover('w', 'v')].join(', ')),
    expected: [
      `${target(1)}: \`v\` would lead to itself`,
      'llm.virtualModels[1].routing.failover.targets[0].model: `w` would lead to itself',
    ],
  },
  {
    llm: virtual(
      '{name: v, routing: {conditional: {targets: [{model: a}, {when: "llmRequest.stream", model: a}]}}}',
    ),
    expected: [
      'llm.virtualModels[0].routing.conditional.targets[0]: `when` is required: only the last target may do without it',
    ],
  },
  {
    llm: virtual('{name: v, routing: {conditional: {targets: [{when: "tool.name == 1", model: a}]}}}'),
    expected: [expect.stringContaining('targets[0].when: not a usable CEL expression')],
  },
  {
    llm: virtual('{name: v, routing: {weighted: {targets: [{model: a, weight: 0}]}}}'),
    expected: ['llm.virtualModels[0].routing.weighted: expected a target with a weight above 0'],
  },
  {
    llm: virtual('{name: v, routing: {}}'),
    expected: ['llm.virtualModels[0].routing: expected exactly one of weighted, failover, conditional'],
  },
])('refuses $llm', ({ llm, expected }) => {
  expect(problems(llm)).toEqual(expected)
})

test('a port is taken once, whoever takes it', () => {
  const text = `mcp: {port: 4000, targets: [{name: a, stdio: {cmd: a}}]}\nllm: {${MODELS}}`
  const result = loadConfig({ text, file: 'gateway.yaml', environment: {} })
  expect(result).toMatchObject({ problems: [{ path: 'llm.port', message: 'duplicate port 4000' }] })
})

test('virtual models may lead to each other in one direction', () => {
  expect(problems(virtual([failover('v', 'w', 'a'), failover('w', 'a', 'claude-x')].join(', ')))).toEqual([])
})
