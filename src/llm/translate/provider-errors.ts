/**
 * A provider's error in the client's format.
 *
 * A reply has a status and its error is told by that; an error inside a stream has only a type, so the type is
 * first turned into the status that it would have had.
 */
import type { WireFormat } from '../../core/exchange.ts'
import { errorBody } from '../error-body.ts'
import { objectOf, textOf } from './reply-values.ts'
import { isObject, type Json } from './request-values.ts'

export const ENDED_EARLY = 'the provider ended the stream early'

const STATUS_OF_TYPE = new Map<unknown, number>([
  ['invalid_request_error', 400],
  ['authentication_error', 401],
  ['billing_error', 402],
  ['permission_error', 403],
  ['not_found_error', 404],
  ['request_too_large', 413],
  ['rate_limit_error', 429],
  ['rate_limit_exceeded', 429],
  ['insufficient_quota', 429],
  ['timeout_error', 504],
  ['overloaded_error', 529],
])

/** The sentence inside an error, wherever servers of either shape put it. */
function messageOf(body: unknown): string | undefined {
  const outer = objectOf(body)
  const inner = objectOf(outer.error)
  const places = [body, outer.error, inner.message, outer.message, outer.detail]
  return places.map(textOf).find((text) => text.trim() !== '')
}

/** The provider's own word for the error: more telling than the few types of the client's format. */
function codeOf(body: unknown): string | null {
  const error = isObject(body) && isObject(body.error) ? body.error : objectOf(body)
  for (const word of [error.code, error.type]) if (typeof word === 'string' && word !== '') return word
  return null
}

/** `body` is what came with `status`: any JSON value, or undefined. */
export function providerError(format: WireFormat, status: number, body: unknown): Json {
  // Google wraps its errors in a list of one.
  const error: unknown = Array.isArray(body) ? body[0] : body
  const message = messageOf(error) ?? `the provider answered with status ${status}`
  return errorBody(format, status, message, codeOf(error))
}

/** `body` is the data of the event that carried the error. */
export function providerStreamError(format: WireFormat, body: Json): Json {
  const error = isObject(body.error) ? body.error : body
  const stated = [error.code, error.status].find(
    (value) => typeof value === 'number' && value >= 400 && value < 600,
  )
  const status = STATUS_OF_TYPE.get(error.type) ?? STATUS_OF_TYPE.get(error.code) ?? Number(stated ?? 500)
  return errorBody(format, status, messageOf(body) ?? 'the provider broke the stream off', codeOf(body))
}
