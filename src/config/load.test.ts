// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a reference is written
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ConfigProblem } from '../core/config-problem.ts'
import { type LoadResult, loadConfig } from './load.ts'

function load(text: string, environment: Record<string, string> = {}, home?: string): LoadResult {
  return loadConfig({ text, file: 'gateway.yaml', environment, home })
}

/** `line:column path: message (hint)` */
function problems(text: string, environment: Record<string, string> = {}): string[] {
  const result = load(text, environment)
  if (result.ok) return []
  return result.problems.map(({ file, line, column, path, message, hint }) => {
    expect(file).toBe(line === 0 ? 'environment' : 'gateway.yaml')
    return `${line}:${column} ${path}: ${message}${hint === undefined ? '' : ` (${hint})`}`
  })
}

function loaded(text: string, environment: Record<string, string> = {}, home?: string) {
  const result = load(text, environment, home)
  expect(result).toMatchObject({ ok: true })
  return result.ok ? result : expect.unreachable()
}

const route = (...lines: readonly string[]) =>
  ['binds:', '- port: 1', '  listeners:', '  - routes:', ...lines.map((line) => `    ${line}`)].join('\n')

describe('a good file', () => {
  test("is the tutorial's, byte for byte and without a warning", () => {
    const text = readFileSync(new URL('../../test/fixtures/tutorial.yaml', import.meta.url), 'utf8')
    const { config, warnings } = loaded(text)
    expect(warnings).toEqual([])
    expect(config).toEqual({
      config: { tracing: { otlpEndpoint: 'http://otel-collector:4317', randomSampling: 1 } },
      binds: [
        {
          port: 3000,
          listeners: [
            {
              routes: [
                {
                  backends: [
                    {
                      ai: {
                        name: 'openai',
                        provider: { openAI: {} },
                        routes: { '/v1/chat/completions': 'completions' },
                      },
                    },
                  ],
                },
              ],
            },
          ],
        },
      ],
    })
  })

  test('may have a route with nothing behind it', () => {
    expect(problems(route('- name: empty'))).toEqual([])
  })

  test('may begin with a byte order mark, end its lines with CRLF and use anchors', () => {
    const text = '\ufeffbackends:\r\n- {name: a, host: "h:1"}\r\n'
    expect(loaded(text).config.backends).toEqual([{ name: 'a', host: 'h:1' }])
    expect(loaded('config:\n  adminAddr: &a off\n  statsAddr: *a').config.config).toEqual({
      adminAddr: 'off',
      statsAddr: 'off',
    })
  })

  test('gives a later problem its place', () => {
    const { placed } = loaded(route('- name: a', '  matches:', '  - path: {exact: /x}'))
    const problem = new ConfigProblem(
      ['binds', 0, 'listeners', 0, 'routes', 0, 'matches', 0, 'path', 'exact'],
      'no',
    )
    expect(placed(problem)).toEqual({
      file: 'gateway.yaml',
      line: 7,
      column: 23,
      path: 'binds[0].listeners[0].routes[0].matches[0].path.exact',
      message: 'no',
    })
  })
})

describe('warnings', () => {
  test.each([
    { text: 'binds: [{port: 1, listeners: [{}]}]', expected: [] },
    { text: 'config: {}', expected: ['nothing listens'] },
    {
      text: 'binds: [{port: 1, listeners: [{}]}]\nconfig: {xdsAddress: a, network: b}',
      expected: ['config: xdsAddress, network have no effect here'],
    },
    {
      text: 'binds: [{port: 1, listeners: [{routes: [{backends: [{host: "h:1", policies: {health: {}}}, {ai: {name: a, provider: {openAI: {}}, policies: {health: {}}}}, {ai: {groups: [{providers: [{name: a, provider: {openAI: {}}}]}], policies: {health: {}}}}]}]}]}]',
      expected: [
        'binds[0].listeners[0].routes[0].backends[0].policies.health has no effect',
        'binds[0].listeners[0].routes[0].backends[1].ai.policies.health has no effect',
      ],
    },
    {
      text: 'mcp: {targets: [{name: a, stdio: {cmd: a}}], policies: {retry: {}}}',
      expected: ['mcp.policies.retry has no effect on MCP'],
    },
  ])('of $text', ({ text, expected }) => {
    const { warnings } = loaded(text)
    expect(warnings).toHaveLength(expected.length)
    for (const [index, start] of expected.entries()) expect(warnings[index]).toContain(start)
  })
})

describe('the environment', () => {
  const environment = {
    PORT: '3001',
    YES: 'true',
    NAME: '123',
    TEXT: 'a: {b: 1}',
    EMPTY: '',
    HOST: 'h',
    LINES: 'a\nb: c',
  }

  test.each([
    { yaml: 'port: $PORT', expected: 3001 },
    { yaml: 'port: ${PORT2:-80}', expected: 80 },
    { yaml: 'port: 1$PORT', expected: 13001 },
    { yaml: '{port: ${PORT}, listeners: [{}]}', expected: 3001 },
    { yaml: 'port: $PORT # of $NOBODY', expected: 3001 },
    { yaml: 'port: 1 # "${NOBODY}"', expected: 1 },
  ])('gives numbers: $yaml', ({ yaml, expected }) => {
    const text = `binds:\n- ${yaml}${yaml.startsWith('{') ? '' : '\n  listeners: [{}]'}`
    expect(loaded(text, environment).config.binds?.[0]?.port).toBe(expected)
  })

  test.each([
    { yaml: '${YES}', expected: true },
    { yaml: '${NO:-false}', expected: false },
  ])('gives booleans: $yaml', ({ yaml, expected }) => {
    expect(loaded(`config:\n  enableIpv6: ${yaml}`, environment).config.config?.enableIpv6).toBe(expected)
  })

  test.each([
    { name: 'text where text is wanted', yaml: '$NAME', expected: '123' },
    { name: 'text where text is wanted, of a boolean', yaml: '$YES', expected: 'true' },
    { name: 'text in double quotes', yaml: '"$NAME"', expected: '123' },
    { name: 'text in single quotes', yaml: "'${NAME}'", expected: '123' },
    { name: 'text in a block', yaml: '|-\n      x $NAME #y $HOST', expected: 'x 123 #y h' },
    { name: 'text in a folded block', yaml: '>-\n      $NAME\n      $HOST', expected: '123 h' },
    { name: 'a hash without a space', yaml: 'a#$HOST', expected: 'a#h' },
    { name: 'a hash in quotes', yaml: '"a # $HOST"', expected: 'a # h' },
    { name: 'structure as text', yaml: '$TEXT', expected: 'a: {b: 1}' },
    { name: 'lines as text', yaml: '$LINES', expected: 'a\nb: c' },
    { name: 'nothing as empty text', yaml: '"$EMPTY"', expected: '' },
    { name: 'an empty variable as empty text', yaml: '$EMPTY', expected: '' },
    { name: 'a dollar sign', yaml: 'a$$HOST', expected: 'a$HOST' },
    { name: 'the home directory', yaml: '~/$HOST', expected: '/home/ann/h' },
    { name: 'a tilde elsewhere', yaml: 'a~/b', expected: 'a~/b' },
  ])('gives $name', ({ yaml, expected }) => {
    const text = `config:\n  sensitiveHeaders:\n    - ${yaml}\n`
    expect(loaded(text, environment, '/home/ann/').config.config?.sensitiveHeaders).toEqual([expected])
  })

  test('gives keys', () => {
    const text = 'config: {tracing: {headers: {x-$HOST: "1", "$NAME": a}}}'
    expect(loaded(text, environment).config.config?.tracing?.headers).toEqual({ 'x-h': '1', '123': 'a' })
  })

  test('works in flow collections', () => {
    const text = 'config: {sensitiveHeaders: [${HOST}, $TEXT, "$NAME"]}'
    expect(loaded(text, environment).config.config?.sensitiveHeaders).toEqual(['h', 'a: {b: 1}', '123'])
  })

  test.each([
    {
      name: 'every variable that is not set, at once',
      text: 'config:\n  # $COMMENT\n  adminAddr: $ADMIN\n  statsAddr: "${HOST}:$STATS_PORT"\n  $KEY: 1',
      expected: [
        '3:14 config.adminAddr: environment variable ADMIN is not set',
        '4:14 config.statsAddr: environment variable STATS_PORT is not set',
        '5:3 config.$KEY: environment variable KEY is not set',
      ],
    },
    {
      name: 'what is wrong with a value without showing it',
      text: 'binds:\n- port: $HOST\n  listeners: [{}]',
      expected: ['2:9 binds[0].port: expected a whole number, found a string (from $HOST)'],
    },
    {
      name: 'an empty value',
      text: 'binds:\n- port: ${EMPTY}\n  listeners: [{}]',
      expected: ['2:9 binds[0].port: expected a whole number, found nothing (from ${EMPTY})'],
    },
    {
      name: 'a number that does not fit',
      text: 'binds:\n- port: 9$PORT\n  listeners: [{}]',
      expected: ['2:9 binds[0].port: expected a number of at most 65535, found a number (from $PORT)'],
    },
    {
      name: 'keys that become the same',
      text: 'config: {tracing: {headers: {h: "1", $HOST: "2"}}}',
      expected: ['1:38 config.tracing.headers.h: duplicate key `h`: it is already on line 1'],
    },
    {
      name: 'a home directory that is not known',
      text: 'config:\n  modelCatalog: [{file: ~/x}]',
      expected: ['2:25 config.modelCatalog[0].file: `~` stands for the home directory, which is not known'],
    },
  ])('says $name', ({ text, expected }) => {
    expect(problems(text, environment)).toEqual(expected)
  })

  test('does not repeat a secret', () => {
    const key = 'sk-very-secret'
    const text = route(
      '- backends:',
      '  - host: $KEY',
      '    policies: {backendAuth: {key: [sk-inline]}, http: $KEY}',
    )
    const told = problems(text, { KEY: key }).join('\n')
    expect(told).toContain('found a string (from $KEY)')
    expect(told).not.toMatch(/sk-/)
  })
})

describe('YAML', () => {
  const object = 'the smallest useful one has `llm:`'
  test.each([
    {
      text: '',
      expected: [`1:1 : expected an object with keys such as \`llm\`: the file is empty (${object})`],
    },
    {
      text: '# $X\n',
      expected: [`1:1 : expected an object with keys such as \`llm\`: the file is empty (${object})`],
    },
    {
      text: '- a',
      expected: [`1:1 : expected an object with keys such as \`llm\`: found a list (${object})`],
    },
    {
      text: 'hello',
      expected: [`1:1 : expected an object with keys such as \`llm\`: found a single value (${object})`],
    },
    {
      text: 'binds:\n\t- port: 1',
      expected: ['2:1 : Tabs are not allowed as indentation (indent with spaces)'],
    },
    { text: 'config: {}\n---\nbinds: []', expected: ['2:1 : a second document begins here: keep one'] },
    { text: 'config: !secret x', expected: ['1:9 : Unresolved tag: !secret'] },
    {
      text: 'config: {}\nconfig: {}',
      expected: ['2:1 config: duplicate key `config`: it is already on line 1'],
    },
    { text: 'config: *a', expected: ['1:9 config: the alias `*a` has no anchor above it'] },
    {
      text: 'config: &a {dns: *a}',
      expected: ['1:18 config.dns: the alias `*a` stands inside its own anchor'],
    },
    { text: '? {a: 1}\n: 2', expected: ['1:3 : a key must be text'] },
    {
      text: 'config: &a {}\nbackends:\n- <<: *a\n  name: a\n  host: h:1',
      expected: ['3:3 backends[0]["<<"]: merge keys (`<<`) are not supported'],
    },
    { text: '__proto__: {}', expected: ['1:1 __proto__: unknown key `__proto__`'] },
  ])('refuses $text', ({ text, expected }) => {
    expect(problems(text)).toEqual(expected)
  })

  test('refuses a bomb of aliases quickly', () => {
    const levels = Array.from({ length: 12 }, (_, level) =>
      level === 0
        ? 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
        : `a${level}: &a${level} [${Array(9)
            .fill(`*a${level - 1}`)
            .join(', ')}]`,
    )
    expect(problems(levels.join('\n')).join('\n')).toContain(
      'the aliases of this file stand for too many values',
    )
  })

  test.each([
    { name: 'brackets', text: `binds: ${'['.repeat(50_000)}` },
    { name: 'closed brackets', text: `binds: ${'['.repeat(500)}${']'.repeat(500)}` },
    { name: 'objects', text: Array.from({ length: 300 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n') },
  ])('refuses too many $name in each other', ({ text }) => {
    expect(problems(text).join('\n')).toContain('nested too deeply')
  })
})

describe('the schema', () => {
  test.each([
    {
      name: 'an unknown key and what was meant',
      text: 'bind:\n- port: 1',
      expected: ['1:1 bind: unknown key `bind` (did you mean `binds`?)'],
    },
    {
      name: 'an unknown key and what there is',
      text: 'binds:\n- port: 1\n  zzz: 1\n  listeners: [{}]',
      expected: ['3:3 binds[0].zzz: unknown key `zzz` (known here: `port` or `listeners`)'],
    },
    {
      name: 'a key in the wrong case',
      text: 'config:\n  adminaddr: off',
      expected: ['2:3 config.adminaddr: unknown key `adminaddr` (did you mean `adminAddr`?)'],
    },
    {
      name: 'a key that is missing, at its parent',
      text: 'binds:\n- listeners: [{}]',
      expected: ['2:3 binds[0].port: `port` is required: expected a whole number'],
    },
    {
      name: 'a key that is missing under a key',
      text: route('- policies:', '    directResponse: {body: x}'),
      expected: [
        '6:9 binds[0].listeners[0].routes[0].policies.directResponse.status: `status` is required: expected a whole number',
      ],
    },
    {
      name: 'a string for a number',
      text: 'binds:\n- port: abc\n  listeners: [{}]',
      expected: ['2:9 binds[0].port: expected a whole number, found the string "abc"'],
    },
    {
      name: 'a number in quotes',
      text: 'binds:\n- port: "80"\n  listeners: [{}]',
      expected: ['2:9 binds[0].port: expected a whole number, found the string "80" (remove the quotes)'],
    },
    {
      name: 'a fraction for a whole number',
      text: 'binds:\n- port: 1.5\n  listeners: [{}]',
      expected: ['2:9 binds[0].port: expected a whole number, found the number 1.5'],
    },
    {
      name: 'a number for a string',
      text: 'backends:\n- {name: 7, host: "h:1"}',
      expected: ['2:10 backends[0].name: expected a string, found the number 7 (put it in quotes: "7")'],
    },
    {
      name: 'an object for a list',
      text: 'binds:\n  port: 1',
      expected: ['1:1 binds: expected a list, found an object'],
    },
    {
      name: 'nothing for a list',
      text: 'binds:\n',
      expected: ['1:1 binds: expected a list, found nothing'],
    },
    {
      name: 'an empty list',
      text: 'binds:\n- port: 1\n  listeners: []',
      expected: ['3:3 binds[0].listeners: expected a list with at least 1 item, found an empty list'],
    },
    {
      name: 'an empty string',
      text: 'backends:\n- {name: "", host: "h:1"}',
      expected: ['2:10 backends[0].name: expected text that is not empty, found the string ""'],
    },
    {
      name: 'a number for a duration',
      text: 'config:\n  connectionTerminationDeadline: 10',
      expected: [
        '2:34 config.connectionTerminationDeadline: expected a duration such as 500ms, 10s, 1m30s or 2h, found the number 10 (write a unit: 10s)',
      ],
    },
    {
      name: 'a word for a duration',
      text: 'config:\n  connectionTerminationDeadline: soon',
      expected: [
        '2:34 config.connectionTerminationDeadline: expected a duration such as 500ms, 10s, 1m30s or 2h, found the string "soon"',
      ],
    },
    {
      name: 'a wrong word of several',
      text: route('- backends:', '  - ai: {name: a, provider: {openAI: }, routes: {/x: completion}}'),
      expected: [
        '6:58 binds[0].listeners[0].routes[0].backends[0].ai.routes["/x"]: expected `completions`, `messages`, `responses`, `embeddings`, `models`, `anthropicTokenCount`, `passthrough` or `detect`, found the string "completion" (did you mean `completions`?)',
      ],
    },
    {
      name: 'no host and port',
      text: 'backends:\n- {name: a, host: api.openai.com}',
      expected: [
        '2:19 backends[0].host: expected host:port, for example api.openai.com:443, found the string "api.openai.com"',
      ],
    },
    {
      name: 'no slash',
      text: route('- matches: [{path: {exact: x}}]'),
      expected: [
        '5:32 binds[0].listeners[0].routes[0].matches[0].path.exact: expected text that begins with "/", found the string "x"',
      ],
    },
    {
      name: 'a key of a union that is spelt wrongly',
      text: route('- matches: [{path: {prefix: /x}}]'),
      expected: [
        '5:25 binds[0].listeners[0].routes[0].matches[0].path.prefix: unknown key `prefix` (did you mean `pathPrefix`?)',
      ],
    },
    {
      name: 'two keys of a union',
      text: route('- matches:', '  - path: {exact: /x, regex: y}'),
      expected: [
        '6:9 binds[0].listeners[0].routes[0].matches[0].path: `path` takes exactly one of `exact`, `pathPrefix` or `regex`, found `exact` and `regex`',
      ],
    },
    {
      name: 'no key of a union',
      text: route('- matches:', '  - path: {}'),
      expected: [
        '6:9 binds[0].listeners[0].routes[0].matches[0].path: `path` takes exactly one of `exact`, `pathPrefix` or `regex`, found nothing',
      ],
    },
    {
      name: 'no object for a union of objects',
      text: route('- matches:', '  - path: /x'),
      expected: [
        '6:15 binds[0].listeners[0].routes[0].matches[0].path: expected an object with `exact`, `pathPrefix` or `regex`, found the string "/x"',
      ],
    },
    {
      name: 'neither a string nor an object',
      text: route('- policies:', '    backendAuth:', '      key: [x]'),
      expected: [
        '7:11 binds[0].listeners[0].routes[0].policies.backendAuth.key: expected a string or an object with `file` or `value`, found a list',
      ],
    },
    {
      name: 'a mistake inside a branch of a union',
      text: route('- policies:', '    backendAuth: {key: {value: x, location: {header: {nam: y}}}}'),
      expected: [
        '6:50 binds[0].listeners[0].routes[0].policies.backendAuth.key.location.header.name: `name` is required: expected a string',
        '6:59 binds[0].listeners[0].routes[0].policies.backendAuth.key.location.header.nam: unknown key `nam` (did you mean `name`?)',
      ],
    },
    {
      name: 'a word or an object',
      text: route('- policies: {urlRewrite: {authority: nome}}'),
      expected: [
        '5:42 binds[0].listeners[0].routes[0].policies.urlRewrite.authority: expected `auto` or `none`, found the string "nome" (did you mean `none`?)',
      ],
    },
    {
      name: 'sampling that is neither',
      text: 'config: {tracing: {randomSampling: often}}',
      expected: [
        '1:36 config.tracing.randomSampling: expected true, false, a number from 0 to 1 or a CEL expression: line 1, column 1: there is no often, only request, source',
      ],
    },
    ...[
      { path: 'config.logging.filter', text: 'config: {logging: {filter: "a b"}}' },
      { path: 'config.logging.fields.add.a', text: 'config: {logging: {fields: {add: {a: "a b"}}}}' },
      { path: 'config.metrics.fields.add.a', text: 'config: {metrics: {fields: {add: {a: "a b"}}}}' },
      { path: 'config.tracing.fields.add.a', text: 'config: {tracing: {fields: {add: {a: "a b"}}}}' },
      { path: 'config.standardAttributes.user', text: 'config: {standardAttributes: {user: "a b"}}' },
      { path: 'frontendPolicies.accessLog.filter', text: 'frontendPolicies: {accessLog: {filter: "a b"}}' },
      { path: 'frontendPolicies.accessLog.add.a', text: 'frontendPolicies: {accessLog: {add: {a: "a b"}}}' },
      { path: 'frontendPolicies.logging.add.a', text: 'frontendPolicies: {logging: {add: {a: "a b"}}}' },
      ...['filter', 'attributes.a', 'resources.a'].map((key) => {
        const [name, inner] = key.split('.')
        const value = inner === undefined ? '"a b"' : `{${inner}: "a b"}`
        return {
          path: `frontendPolicies.tracing.${key}`,
          text: `frontendPolicies: {tracing: {host: "h:1", ${name}: ${value}}}`,
        }
      }),
    ].map(({ path, text }) => ({
      name: `an expression that is none, at ${path}`,
      text,
      expected: [
        `1:${text.indexOf('"a b"') + 1} ${path}: not a usable CEL expression: line 1, column 3: not understood from "b" on`,
      ],
    })),
    {
      name: 'a variable that there is not when a request is finished',
      text: `config: {logging: {filter: 'request.body == ""'}}`,
      expected: [
        expect.stringMatching(
          /^1:28 config\.logging\.filter: .* there is no request\.body, only method, host/,
        ),
      ],
    },
    {
      name: 'a caller, who is not known when sampling is decided',
      text: `config: {tracing: {randomSampling: 'jwt.sub == "a"'}}`,
      expected: [expect.stringMatching(/: there is no jwt, only request, source/)],
    },
    {
      name: 'a variable in an attribute of the resource, which belongs to no request',
      text: `frontendPolicies: {tracing: {host: "h:1", resources: {a: jwt.sub}}}`,
      expected: [expect.stringMatching(/: there is no jwt, only nothing/)],
    },
    ...['le', 'route', 'model', 'job', 'error_type'].map((label) => ({
      name: `the label ${label}, which is there already`,
      text: `config: {metrics: {fields: {add: {${label}: '"a"'}}}}`,
      expected: [expect.stringMatching(/there is a label of this name already/)],
    })),
    ...['team-a', '__team', '1', 'tëam'].map((label) => ({
      name: `the label ${label}, which is no name`,
      text: `config: {metrics: {fields: {add: {"${label}": '"a"'}}}}`,
      expected: [expect.stringMatching(/a label is made of letters, digits and `_`/)],
    })),
    {
      name: 'a field that each line has',
      text: `config: {logging: {fields: {add: {time: '"a"'}}}}`,
      expected: [expect.stringMatching(/`level`, `time`, `scope` are there in each line/)],
    },
    {
      name: 'a key that is no header',
      text: route('- policies: {requestHeaderModifier: {set: {"a b": c}}}'),
      expected: [
        '5:48 binds[0].listeners[0].routes[0].policies.requestHeaderModifier.set["a b"]: `a b` cannot be a key here: not a header name',
      ],
    },
    {
      name: 'an empty key',
      text: route('- policies: {ai: {routes: {"": detect}}}'),
      expected: ['5:32 binds[0].listeners[0].routes[0].policies.ai.routes[""]: a key cannot be empty here'],
    },
    {
      name: 'two targets of a backend',
      text: 'backends:\n- name: a\n  host: h:1\n  ai: {name: b, provider: {openAI: {}}}',
      expected: ['2:3 backends[0]: expected exactly one of host, ai, mcp'],
    },
    {
      name: 'two providers',
      text: 'backends:\n- name: a\n  ai: {name: b, provider: {openAI: {}, anthropic: {}}}',
      expected: ['3:17 backends[0].ai.provider: expected exactly one provider: openAI, anthropic or custom'],
    },
    {
      name: 'HTTPS without a certificate',
      text: 'binds:\n- port: 1\n  listeners:\n  - protocol: HTTPS',
      expected: ['4:5 binds[0].listeners[0]: protocol HTTPS and tls go together'],
    },
    {
      name: 'a port that is too large in an address',
      text: 'config: {statsAddr: ":99999"}',
      expected: ['1:21 config.statsAddr: a port is at most 65535'],
    },
  ])('says $name', ({ text, expected }) => {
    expect(problems(text)).toEqual(expected)
  })

  test('says everything at once, in the order of the file', () => {
    const text = [
      'confg: {}',
      'binds:',
      '- port: x',
      '  listeners:',
      '  - hostname: 5',
      '    routes:',
      '    - matches: [{path: {regex: "("}}]',
      '      policies: {remoteRateLimit: [], timeout: {requestTimeout: 1}}',
      '      backends:',
      '      - backend: mian',
      '        weight: -1',
      'config:',
      '  statsAddr: $UNSET',
      'backends:',
      '- {name: main, host: "h:1"}',
      '- {name: main, host: "h"}',
    ]
    const at = problems(text.join('\n'), { ADMIN_ADDR: 'x' }).map((problem) => problem.replace(/: .*$/, ''))
    expect(at).toEqual([
      '1:1 confg',
      '3:9 binds[0].port',
      '5:15 binds[0].listeners[0].hostname',
      '7:32 binds[0].listeners[0].routes[0].matches[0].path.regex',
      '8:18 binds[0].listeners[0].routes[0].policies.remoteRateLimit',
      '8:65 binds[0].listeners[0].routes[0].policies.timeout.requestTimeout',
      '10:18 binds[0].listeners[0].routes[0].backends[0].backend',
      '11:17 binds[0].listeners[0].routes[0].backends[0].weight',
      '13:14 config.statsAddr',
      '16:10 backends[1].name',
      '16:22 backends[1].host',
      '0:0 ADMIN_ADDR',
    ])
  })
})

test('a hash of a password that was taken for variables is not repeated', () => {
  const text = route('- policies: {basicAuth: {htpasswd: "ann:$apr1$Va99U6EI$iQcQxNBVS7JY.2UTQcK.l0"}}')
  expect(problems(text)).toEqual([
    '5:40 binds[0].listeners[0].routes[0].policies.basicAuth.htpasswd: a variable is not set: a `$` of a hash is written `$$`',
  ])
})

describe('cross checks', () => {
  const ai = (rest: string) => route('- backends:', `  - {ai: {name: a, ${rest}}`)
  test.each([
    {
      name: 'both forms of tracing',
      text: 'config: {tracing: {}}\nfrontendPolicies:\n  tracing: {host: "h:1"}',
      expected: [
        '3:3 frontendPolicies.tracing: `frontendPolicies.tracing` and `config.tracing` exclude each other: keep one',
      ],
    },
    {
      name: 'both forms of what the access log is',
      text: 'config:\n  logging:\n    filter: "true"\n    fields: {remove: [a]}\nfrontendPolicies: {accessLog: {add: {b: "1"}}}',
      expected: [
        '3:5 config.logging.filter: `config.logging.filter` is the older form of `frontendPolicies.accessLog`: keep one',
        '4:5 config.logging.fields: `config.logging.fields` is the older form of `frontendPolicies.accessLog`: keep one',
      ],
    },
    {
      name: 'both names of the access log',
      text: 'frontendPolicies: {accessLog: {}, logging: {}}',
      expected: [
        '1:35 frontendPolicies.logging: `frontendPolicies.logging` is another name of `frontendPolicies.accessLog`: keep one',
      ],
    },
    {
      name: 'nothing in the older form of fields beside the newer form of what is kept',
      text: 'config: {logging: {filter: "true"}}\nfrontendPolicies: {accessLog: {database: {llm: full}}}',
      expected: [],
    },
    {
      name: 'duplicate listener names',
      text: 'binds:\n- port: 1\n  listeners: [{name: a}, {name: b}, {name: a}]\n- port: 2\n  listeners: [{name: a}]',
      expected: ['3:44 binds[0].listeners[2].name: duplicate listener name `a`'],
    },
    {
      name: 'duplicate ports',
      text: 'binds:\n- {port: 1, listeners: [{}]}\n- {port: 1, listeners: [{}]}\n- {port: 0, listeners: [{}]}\n- {port: 0, listeners: [{}]}',
      expected: ['3:10 binds[1].port: duplicate port 1'],
    },
    {
      name: 'duplicate backend names',
      text: 'backends:\n- {name: a, host: "h:1"}\n- {name: a, host: "h:2"}',
      expected: ['3:10 backends[1].name: duplicate backend name `a`'],
    },
    {
      name: 'a missing backend',
      text: `${route('- backends:', '  - backend: /opneai', '  - backend: /openai', '  - backend: openai')}\nbackends: [{name: openai, host: "h:1"}]`,
      expected: [
        '6:18 binds[0].listeners[0].routes[0].backends[0].backend: there is no backend `opneai` in the top-level `backends` (did you mean `openai`?)',
      ],
    },
    {
      name: 'a custom provider without a host',
      text: ai('provider: {custom: {}}}'),
      expected: [
        '6:35 binds[0].listeners[0].routes[0].backends[0].ai.provider.custom: a custom provider has no host of its own: `hostOverride` is required beside `provider`',
      ],
    },
    {
      name: 'nothing of one with a host',
      text: ai('hostOverride: "h:1", provider: {custom: {}}}'),
      expected: [],
    },
    {
      name: 'routes twice, on the provider',
      text: ai('provider: {openAI: {}}, routes: {}, policies: {ai: {routes: {}}}}'),
      expected: [
        '6:48 binds[0].listeners[0].routes[0].backends[0].ai.routes: `ai.routes` and `ai.policies.ai.routes` exclude each other: keep one',
      ],
    },
    {
      name: 'routes twice, on the backend',
      text: ai('provider: {openAI: {}}, routes: {}}, policies: {ai: {routes: {}}}'),
      expected: [
        '6:48 binds[0].listeners[0].routes[0].backends[0].ai.routes: `ai.routes` and `policies.ai.routes` exclude each other: keep one',
      ],
    },
    {
      name: 'regexes that do not compile',
      text: route(
        '- matches:',
        '  - path: {regex: "(?i)/x"}',
        '    headers: [{name: a, value: {regex: "["}}]',
        '    query: [{name: a, value: {regex: "*"}}]',
      ),
      expected: [
        '6:23 binds[0].listeners[0].routes[0].matches[0].path.regex: not a regular expression: Invalid group (flags take a group here: `(?i:…)`)',
        '7:44 binds[0].listeners[0].routes[0].matches[0].headers[0].value.regex: not a regular expression: Unterminated character class',
        '8:42 binds[0].listeners[0].routes[0].matches[0].query[0].value.regex: not a regular expression: Nothing to repeat',
      ],
    },
    {
      name: 'log levels',
      text: 'config: {logging: {level: [info, "request=of"]}}',
      expected: [
        '1:34 config.logging.level[1]: expected `trace`, `debug`, `info`, `warn`, `error` or `off`, alone or as target=level, found "request=of"',
      ],
    },
    {
      name: 'keys for some models where no model is known',
      text: `${route('- policies: {apiKey: {keys: [{key: a}, {key: b, allowedModels: []}]}}', '  backends: [{backend: a}, {host: "h:1"}]')}\nbackends: [{name: a, ai: {name: a, provider: {openAI: {}}}}]`,
      expected: [
        '5:53 binds[0].listeners[0].routes[0].policies.apiKey.keys[1].allowedModels: `allowedModels` guards `ai` backends, and this route has another: it would be open',
      ],
    },
    {
      name: 'nothing of those where it is',
      text: `${route('- policies: {apiKey: {keys: [{key: b, allowedModels: []}]}}', '  backends: [{backend: a}]')}\nbackends: [{name: a, ai: {name: a, provider: {openAI: {}}}}]`,
      expected: [],
    },
    {
      name: 'budgets where no model is known',
      text: `${route('- policies: {budgets: [{name: a, limit: {usd: 1}, window: day}]}', '  backends: [{host: "h:1"}]')}`,
      expected: [
        '5:18 binds[0].listeners[0].routes[0].policies.budgets: `budgets` are spent by `ai` backends, and this route has another: it would be open',
      ],
    },
    {
      name: 'a budget that is two',
      text: route(
        '- policies: {budgets: [{name: a, limit: {usd: 1}, window: day}, {window: day, name: a, limit: {usd: 1}}]}',
        '- policies: {budgets: [{name: b, limit: {usd: 1}, window: day}, {name: a, window: day, limit: {usd: 2}}]}',
        '- policies: {budgets: [{limit: {usd: 1}, window: day, name: b}]}',
      ),
      expected: [
        '5:89 binds[0].listeners[0].routes[0].policies.budgets[1].name: duplicate budget name `a`',
        '6:76 binds[0].listeners[0].routes[1].policies.budgets[1].name: the budget `a` of another route differs: one name is one budget',
      ],
    },
    {
      name: 'keys for some models in front of MCP',
      text: 'mcp: {targets: [{name: a, stdio: {cmd: a}}], policies: {apiKey: {keys: [{key: b, allowedModels: []}]}}}',
      expected: [
        '1:82 mcp.policies.apiKey.keys[0].allowedModels: `allowedModels` guards `ai` backends, and this route has another: it would be open',
      ],
    },
  ])('tell $name', ({ text, expected }) => {
    expect(problems(text)).toEqual(expected)
  })
})
