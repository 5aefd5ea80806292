/**
 * Reading a provider's reply: whatever is missing or of another type than documented counts as absent, because
 * providers add values without notice and half an answer is worth more than none.
 */
import type { SseEvent } from '../../core/sse.ts'
import { isObject, type Json } from './request-values.ts'
import { TranslationError } from './translation.ts'

export const objectOf = (value: unknown): Json => (isObject(value) ? value : {})

export const arrayOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** A count of tokens. */
export const countOf = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0

/** The data of a stream's event; an empty object when it is JSON but no object. */
export function eventData(event: SseEvent): Json {
  try {
    return objectOf(JSON.parse(event.data))
  } catch (cause) {
    throw new TranslationError('the provider sent an event that is not JSON', { cause })
  }
}

/** JSON text of a provider's value. */
export function jsonTextOf(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new TranslationError('the provider sent a value that is nested too deeply', { cause })
  }
}
