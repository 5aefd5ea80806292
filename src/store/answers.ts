/** What the store is asked, answered by a database. */
import type { Database } from './database.ts'
import type { Question } from './messages.ts'
import { readHistory } from './metric-history.ts'
import { followRequests, getRequest, requestsOfTrace, searchRequests } from './requests.ts'
import { readValues, summarize } from './summary.ts'

export function answerFrom(database: Database, { method, query }: Question, now: number): Promise<unknown> {
  switch (method) {
    case 'search':
      return searchRequests(database, query)
    case 'follow':
      return followRequests(database, query)
    case 'get':
      return getRequest(database, query)
    case 'trace':
      return requestsOfTrace(database, query)
    case 'summary':
      return summarize(database, query, now)
    case 'values':
      return readValues(database, query)
    case 'history':
      return readHistory(database, query, now)
    default:
      method satisfies never
      return Promise.reject(new Error('The request store does not know this question'))
  }
}
