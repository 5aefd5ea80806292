import type { LogEntry } from '../../../src/admin/api-types.ts'

/** `client_abort` as `client abort`. */
export const spoken = (name: string) => name.replaceAll('_', ' ')

export function statusTone(status: number, failed: boolean): 'good' | 'warn' | 'bad' {
  if (status >= 500) return 'bad'
  if (status >= 400) return 'warn'
  return failed ? 'bad' : 'good'
}

export function StatusBadge({
  log,
}: {
  readonly log: Pick<LogEntry, 'httpStatus' | 'outcome' | 'failed' | 'error' | 'mcp'>
}) {
  const { httpStatus, outcome, failed, error, mcp } = log
  // An MCP error and a broken stream have the status 200: the outcome says it.
  const word = outcome !== 'completed' ? spoken(outcome) : failed ? spoken(mcp?.errorType ?? 'failed') : ''
  return (
    <span class="row tight one-line" title={error ?? mcp?.errorMessage ?? spoken(outcome)}>
      <span class={`badge ${statusTone(httpStatus, failed)}`}>{httpStatus}</span>
      {word !== '' && <span class="soft small cut">{word}</span>}
    </span>
  )
}
