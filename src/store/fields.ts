/** Which column holds which field, in the table of requests and in the dictionary of the roll-ups alike. */
import type { GroupField } from './types.ts'

/** `user`, `key` and `group` are words of SQL. */
export const COLUMNS = {
  provider: 'provider',
  requestModel: 'request_model',
  responseModel: 'response_model',
  httpStatus: 'http_status',
  outcome: 'outcome',
  errorType: 'error_type',
  protocol: 'protocol',
  backend: 'backend',
  route: 'route',
  target: 'target',
  operation: 'operation',
  user: 'end_user',
  key: 'client_key',
  group: 'user_group',
  userAgentName: 'user_agent_name',
} as const satisfies Record<GroupField, string>

const MAX_LENGTH = 256

/** What a column holds of a text: nobody's model has a name of a megabyte. */
export function clipped(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text
}

/** Stands for the values that were too many. */
export const REST = '…'
