/**
 * Who may see and use which tools, prompts, resources and tasks: rules in CEL, with upstream's semantics.
 *
 * An expression that cannot be evaluated is false, whatever kind of rule it stands in: a `deny` that fails denies
 * nothing, or one about a tool would deny every prompt. Whoever writes a `deny` on a claim says what its absence means
 * (`!has(…)`).
 */
import { celValue, type Names } from '../core/cel.ts'
import { compileRules, type RulesConfig, rulesSchema } from '../core/rules.ts'

type Subject = 'tool' | 'prompt' | 'resource' | 'task'

/** What is judged. The name is without its target's prefix: the URI of a resource, the id of a task. */
export interface McpSubject {
  readonly kind: Subject
  readonly name: string
  readonly target: string
}

/** Header names in lower case. `jwt` are the verified claims; undefined without a token. */
export interface McpCaller {
  readonly request: {
    readonly method: string
    readonly host: string
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
  }
  readonly source: { readonly address: string; readonly port?: number }
  readonly jwt: Readonly<Record<string, unknown>> | undefined
  readonly methodName: string
  readonly sessionId?: string
}

export interface McpAuthorization {
  readonly allows: (subject: McpSubject, caller: McpCaller) => boolean
}

const SUBJECT: Names = { name: true, target: true }
const NAMES: Names = {
  request: { method: true, host: true, path: true, headers: true },
  source: { address: true, port: true },
  jwt: true,
  mcp: {
    methodName: true,
    sessionId: true,
    tool: SUBJECT,
    prompt: SUBJECT,
    resource: SUBJECT,
    task: SUBJECT,
  },
}

export const mcpAuthorizationSchema = rulesSchema(NAMES)
export type McpAuthorizationConfig = RulesConfig

/** Every set has to agree: that of the route, that of the backend. Undefined where there is no rule at all. */
export function mcpAuthorization(configs: readonly McpAuthorizationConfig[]): McpAuthorization | undefined {
  // `require: mcp.tool.name == "x"` denies every prompt, for `mcp.tool` is absent there: as upstream has it. A rule for
  // tools alone says `!has(mcp.tool) || …`.
  const sets = configs
    .filter(({ rules }) => rules.length > 0)
    .map((config) => compileRules(config, NAMES, { deniesOnError: false }))
  if (sets.length === 0) return undefined
  // A list of hundreds of tools is judged for one caller.
  const shared = sharedValues()

  return {
    allows(subject, caller) {
      const variables = {
        request: shared(caller.request),
        source: shared(caller.source),
        jwt: caller.jwt && shared(caller.jwt),
        mcp: celValue({
          methodName: caller.methodName,
          sessionId: caller.sessionId,
          [subject.kind]: { name: subject.name, target: subject.target },
        }),
      }
      return sets.every((permits) => permits(variables))
    },
  }
}

function sharedValues(): (value: object) => ReturnType<typeof celValue> {
  const converted = new WeakMap<object, ReturnType<typeof celValue>>()
  return (value) => {
    const known = converted.get(value) ?? celValue(value)
    converted.set(value, known)
    return known
  }
}
