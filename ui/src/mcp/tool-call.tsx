/**
 * One tool: its form, or the same as raw JSON, and what the last call gave.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { isAbort } from '../api/client.ts'
import { isObject, type JsonObject, parseJson } from '../format/json.ts'
import { Icon } from '../parts/icons.tsx'
import { Segments } from '../parts/segments.tsx'
import { FieldInput } from './field-input.tsx'
import type { McpAnswer, McpSession, McpTool } from './mcp-session.ts'
import { argumentsOf, type FormResult, fieldsOf, initialValues, valuesFrom } from './tool-form.ts'
import { ToolFailure, ToolResult } from './tool-result.tsx'

type Mode = 'form' | 'json'
type Outcome =
  | { readonly kind: 'none' | 'running' }
  | { readonly kind: 'answered'; readonly answer: McpAnswer }
  | { readonly kind: 'failed'; readonly error: unknown }

const MODES = [
  { id: 'form', label: 'Form' },
  { id: 'json', label: 'JSON' },
] as const

interface ToolCallProps {
  readonly session: McpSession
  readonly tool: McpTool
}

export function ToolCall({ session, tool }: ToolCallProps) {
  const fields = useMemo(() => fieldsOf(tool.inputSchema), [tool])
  const [mode, setMode] = useState<Mode>('form')
  const [values, setValues] = useState(() => initialValues(fields))
  const [raw, setRaw] = useState('{}')
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({})
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' })
  const running = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => running.current?.abort(), [])

  function read(): FormResult {
    if (mode === 'form') return argumentsOf(fields, values)
    const value = parseJson(raw)
    return isObject(value)
      ? { ok: true, arguments: value }
      : { ok: false, problems: { '': 'Not a JSON object.' } }
  }

  function changeMode(next: Mode) {
    const result = read()
    if (result.ok && next === 'json') setRaw(JSON.stringify(result.arguments, undefined, 2))
    if (result.ok && next === 'form') setValues(valuesFrom(fields, result.arguments))
    setProblems({})
    setMode(next)
  }

  async function call(args: JsonObject) {
    const controller = new AbortController()
    running.current = controller
    setOutcome({ kind: 'running' })
    try {
      setOutcome({ kind: 'answered', answer: await session.callTool(tool.name, args, controller.signal) })
    } catch (error) {
      setOutcome(isAbort(error) ? { kind: 'none' } : { kind: 'failed', error })
    }
  }

  function submit(event: Event) {
    event.preventDefault()
    const result = read()
    setProblems(result.ok ? {} : result.problems)
    if (result.ok) void call(result.arguments)
  }

  return (
    <div class="runner-call stack">
      <header class="row">
        <h3 class="mono">{tool.name}</h3>
        {tool.title !== undefined && <span class="soft">{tool.title}</span>}
        {tool.annotations.readOnlyHint === true && <span class="badge good">read-only</span>}
        {tool.annotations.destructiveHint === true && <span class="badge bad">may destroy</span>}
        <span class="push">
          <Segments label="Arguments as" options={MODES} value={mode} onChange={changeMode} />
        </span>
      </header>
      {tool.description !== '' && <p class="soft tool-description">{tool.description}</p>}
      <form class="stack" onSubmit={submit} noValidate>
        {mode === 'json' ? (
          <label class="label">
            Arguments as JSON
            <textarea
              class="input mono"
              rows={8}
              spellcheck={false}
              value={raw}
              onInput={(event) => setRaw(event.currentTarget.value)}
            />
          </label>
        ) : (
          fields.map((field) => (
            <FieldInput
              key={field.name}
              field={field}
              value={values[field.name] ?? ''}
              problem={problems[field.name]}
              onChange={(value) => setValues({ ...values, [field.name]: value })}
            />
          ))
        )}
        {mode === 'form' && fields.length === 0 && <p class="faint">This tool takes no arguments.</p>}
        {problems[''] !== undefined && (
          <p class="bad" role="alert">
            {problems['']}
          </p>
        )}
        <div class="row">
          <button type="submit" class="button primary" disabled={outcome.kind === 'running'}>
            <Icon name="play" /> {outcome.kind === 'running' ? 'Running…' : 'Run'}
          </button>
          {outcome.kind === 'running' && (
            <button type="button" class="button" onClick={() => running.current?.abort()}>
              <Icon name="stop" /> Stop
            </button>
          )}
        </div>
      </form>
      <div aria-live="polite" class="stack">
        {outcome.kind === 'answered' && <ToolResult answer={outcome.answer} />}
        {outcome.kind === 'failed' && <ToolFailure error={outcome.error} />}
      </div>
    </div>
  )
}
