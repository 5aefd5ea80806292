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

/** Of a text of which no column is made: characters. */
export const MAX_TEXT = 1024

/** Of a list, the first so many. */
export const MAX_MEMBERS = 32

/** Nobody's model has a name of a megabyte. */
export function clip(text: string, length: number): string
export function clip(text: string | undefined, length: number): string | undefined
export function clip(text: string | undefined, length: number): string | undefined {
  return text !== undefined && text.length > length ? `${text.slice(0, length - 1)}…` : text
}

/** What a column holds of a text. */
export const clipped = (text: string): string => clip(text, MAX_LENGTH)

/** Stands for the values that were too many. */
export const REST = '…'
